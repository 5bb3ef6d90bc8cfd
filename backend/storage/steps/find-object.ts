import { storageProblems } from '../errors.ts'
import type { StorageSession } from '../session.ts'
import type { StoredObject } from '../stores/stored-object.ts'
import type { StorageServices } from './services.ts'

/** By which right an object is read: the caller's own, or that its bucket is public. */
export type ReadAccess = 'own' | 'public'

/**
 * Finds an object that the caller may read; with `versionId`, only while that is its version.
 * @throws Problem 404 `NoSuchKey`, or `NoSuchBucket` when the caller may not know of the bucket either.
 */
export async function findObject(
  services: Pick<StorageServices, 'objects' | 'buckets'>,
  session: StorageSession,
  at: { bucket: string; name: string; versionId?: string | undefined },
  access: ReadAccess,
): Promise<StoredObject> {
  const object =
    access === 'public'
      ? await services.objects.findPublic(session.asService(), at.bucket, at.name)
      : await services.objects.find(session, at.bucket, at.name)
  if (object !== undefined && (at.versionId === undefined || at.versionId === object.version)) return object
  if (access === 'public') {
    const bucket = await services.buckets.find(session.asService(), at.bucket)
    throw bucket?.public === true ? storageProblems.noSuchKey() : storageProblems.noSuchBucket()
  }
  const bucket = await services.buckets.find(session, at.bucket)
  throw bucket === undefined ? storageProblems.noSuchBucket() : storageProblems.noSuchKey()
}
