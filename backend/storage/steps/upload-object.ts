import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { type BodyLimit, connectBody, MeasuredBody } from '../blobs/measured-body.ts'
import { allowsMimeType, mayWrite } from '../bucket.ts'
import { storageProblems } from '../errors.ts'
import type { StorageSession } from '../session.ts'
import type { NewObject, UploadPlan, WriteOutcome } from '../stores/object-store.ts'
import type { StoredObject } from '../stores/stored-object.ts'
import { discardBlobs } from './discard-blobs.ts'
import type { StorageServices } from './services.ts'

/** Where an upload goes, and how. */
export type UploadTarget = { bucket: string; name: string; upsert: boolean; quotaBytes: number | null }

/** What a body says of itself. */
export type ObjectHeaders = {
  mimetype: string
  cache_control: string
  content_encoding: string | null
  user_metadata: Record<string, unknown> | null
}

export type UploadBody = ObjectHeaders & {
  stream: Readable
  /** From Content-Length, where that is the object's length. */
  knownBytes: number | null
}

/** How long an upload may take before the sweeper counts its blob as left behind. */
export const UPLOAD_HOURS = 24

/**
 * Stores one object. In this order, so that a crash after any step leaves either the old object or the new one, whole, and
 * nothing else for good:
 *
 * 1. the blob's version goes on the list of blobs without an object;
 * 2. the blob is written;
 * 3. one transaction makes the object's row point to it, counts it against the quota, takes it off the list and puts the blob
 *    that it replaces on the list;
 * 4. the replaced blob is removed, then taken off the list.
 *
 * A crash after 1 or 2 leaves the new blob on the list, after 3 the old one: the sweeper removes what is on it.
 */
export async function uploadObject(
  services: StorageServices,
  session: StorageSession,
  target: UploadTarget,
  body: UploadBody,
): Promise<StoredObject> {
  const plan = await admitUpload(services, session, target, body.mimetype, body.knownBytes)
  const limits = bodyLimits(services, plan, target)
  const version = randomUUID()
  await services.objects.announceBlobs(session.asService(), [version], UPLOAD_HOURS)
  services.checkpoint('announced')
  try {
    const measured = connectBody(body.stream, new MeasuredBody(limits, services.bodyIdleMs))
    await services.blobs.write({ tenantId: session.tenantId, version }, measured)
    services.checkpoint('blob-written')
    return await commitObject(services, session, {
      ...target,
      bucket_id: target.bucket,
      owner: session.subject,
      version,
      blobs: measured.bytes === 0 ? [] : [{ v: version, n: measured.bytes }],
      size: measured.bytes,
      etag: `"${measured.digest()}"`,
      mimetype: body.mimetype,
      cache_control: body.cache_control,
      content_encoding: body.content_encoding,
      user_metadata: body.user_metadata,
    })
  } catch (fault) {
    discardBlobs(services, session, [version])
    throw fault
  }
}

/**
 * Refuses what can be refused before a body is taken; row security and the transaction decide again at the end.
 * @throws Problem `NoSuchBucket`, `AccessDenied`, `KeyAlreadyExists`, `InvalidMimeType`, `EntityTooLarge`,
 * `storage_quota_exceeded`.
 */
export async function admitUpload(
  services: StorageServices,
  session: StorageSession,
  target: UploadTarget,
  mimetype: string,
  knownBytes: number | null,
): Promise<UploadPlan & { bucket: NonNullable<UploadPlan['bucket']> }> {
  const plan = await services.objects.planUpload(session, target.bucket, target.name)
  const bucket = plan?.bucket
  if (plan === undefined || bucket == null) throw storageProblems.noSuchBucket()
  if (!mayWrite(bucket.policy, session.role, session.subject)) throw storageProblems.accessDenied()
  if (plan.existing !== null && !target.upsert) throw storageProblems.keyExists()
  if (!allowsMimeType(bucket.allowed_mime_types, mimetype)) throw storageProblems.invalidMimeType(mimetype)
  if (knownBytes !== null) {
    for (const limit of bodyLimits(services, { ...plan, bucket }, target))
      if (knownBytes > limit.bytes) throw limit.problem()
  }
  return { ...plan, bucket }
}

/** The bucket's limit, and what is left of the quota: a body that passes one of them is cut off there. */
function bodyLimits(services: StorageServices, plan: UploadPlan, target: UploadTarget): BodyLimit[] {
  const sizeLimit = Math.min(plan.bucket?.file_size_limit ?? services.maxObjectBytes, services.maxObjectBytes)
  const limits: BodyLimit[] = [{ bytes: sizeLimit, problem: storageProblems.entityTooLarge }]
  if (target.quotaBytes !== null) {
    const replaced = plan.existing?.size ?? 0
    const left = Math.max(replaced, target.quotaBytes - plan.usedBytes + replaced)
    limits.push({ bytes: left, problem: storageProblems.quotaExceeded })
  }
  return limits
}

/** Step 3 and what follows from it. @throws Problem when the transaction refused. */
export async function commitObject(
  services: StorageServices,
  session: StorageSession,
  object: NewObject,
): Promise<StoredObject> {
  const outcome = await services.objects.write(session, object)
  if (outcome.outcome !== 'written') throw refusal(outcome.outcome)
  services.checkpoint('committed')
  await services.usage.record(session.tenantId, outcome.total)
  // An empty object has no blob, but a file of that version was written.
  const spare = object.size === 0 ? [object.version] : []
  discardBlobs(services, session, [...outcome.replaced.map((blob) => blob.v), ...spare])
  return outcome.object
}

function refusal(outcome: Exclude<WriteOutcome['outcome'], 'written'>) {
  if (outcome === 'quota') return storageProblems.quotaExceeded()
  return outcome === 'duplicate' ? storageProblems.keyExists() : storageProblems.uploadOutlived()
}
