import { randomUUID } from 'node:crypto'
import { storageProblems } from '../errors.ts'
import type { StorageSession } from '../session.ts'
import type { StoredObject } from '../stores/stored-object.ts'
import { discardBlobs } from './discard-blobs.ts'
import { findObject } from './find-object.ts'
import type { StorageServices } from './services.ts'
import { admitUpload, commitObject, type ObjectHeaders, UPLOAD_HOURS, type UploadTarget } from './upload-object.ts'

export type ObjectAddress = { bucket: string; name: string; versionId?: string | undefined }

/**
 * Copies an object: the steps of an upload, with the blob store copying the bytes on its own side. The copy belongs to the
 * caller. `headers` replaces what the source says of itself.
 */
export async function copyObject(
  services: StorageServices,
  session: StorageSession,
  from: ObjectAddress,
  target: UploadTarget,
  headers: Partial<ObjectHeaders>,
): Promise<StoredObject> {
  const source = await findObject(services, session, from, 'own')
  const described = { ...source, ...headers }
  await admitUpload(services, session, target, described.mimetype, source.size)
  const copies = source.blobs.map((blob) => ({ from: blob.v, to: { v: randomUUID(), n: blob.n } }))
  const versions = copies.map((copy) => copy.to.v)
  await services.objects.announceBlobs(session.asService(), versions, UPLOAD_HOURS)
  try {
    const { tenantId } = session
    for (const copy of copies)
      await services.blobs.copy({ tenantId, version: copy.from }, { tenantId, version: copy.to.v })
    return await commitObject(services, session, {
      ...target,
      bucket_id: target.bucket,
      owner: session.subject,
      version: versions[0] ?? randomUUID(),
      blobs: copies.map((copy) => copy.to),
      size: source.size,
      etag: source.etag,
      mimetype: described.mimetype,
      cache_control: described.cache_control,
      content_encoding: described.content_encoding,
      user_metadata: described.user_metadata,
    })
  } catch (fault) {
    discardBlobs(services, session, versions)
    throw fault
  }
}

/** Gives an object another name, in its bucket or in another, which has to allow its kind and size. */
export async function moveObject(
  services: StorageServices,
  session: StorageSession,
  from: ObjectAddress,
  to: { bucket: string; name: string },
): Promise<StoredObject> {
  const source = await findObject(services, session, from, 'own')
  if (from.bucket !== to.bucket || from.name !== to.name)
    await admitUpload(services, session, { ...to, upsert: false, quotaBytes: null }, source.mimetype, source.size)
  const moved = await services.objects.move(session, from, to)
  if (moved === undefined) throw storageProblems.accessDenied('The object may be read but not moved.')
  return moved
}
