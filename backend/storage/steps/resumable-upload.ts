import { createHash, randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { MeasuredBody } from '../blobs/measured-body.ts'
import { storageProblems } from '../errors.ts'
import type { StorageSession } from '../session.ts'
import type { ResumableUpload } from '../stores/resumable-store.ts'
import type { StoredObject } from '../stores/stored-object.ts'
import { discardBlobs } from './discard-blobs.ts'
import type { StorageServices } from './services.ts'
import { admitUpload, commitObject, type ObjectHeaders, UPLOAD_HOURS, type UploadTarget } from './upload-object.ts'

/** An upload has at most this many parts: the row that lists them stays small. */
const MAX_PARTS = 10_000
const HOUR_MS = 3_600_000

/** Makes a resumable upload and reserves its length in the quota. */
export async function createResumableUpload(
  services: StorageServices,
  session: StorageSession,
  target: UploadTarget & { length: number },
  headers: Pick<ObjectHeaders, 'mimetype' | 'cache_control' | 'user_metadata'>,
): Promise<ResumableUpload> {
  await admitUpload(services, session, target, headers.mimetype, target.length)
  const upload = {
    ...headers,
    id: randomUUID(),
    bucket: target.bucket,
    name: target.name,
    owner: session.subject,
    upsert: target.upsert,
    length: target.length,
    quotaBytes: target.quotaBytes,
    expiresAtMs: services.clock.nowMs() + UPLOAD_HOURS * HOUR_MS,
  }
  if (!(await services.uploads.create(session, upload))) throw storageProblems.quotaExceeded()
  return { ...upload, offset: 0, blobs: [], finished: false }
}

/** @throws Problem 404 `NoSuchUpload` when there is none, or it is somebody else's, or its time is over. */
export async function findResumableUpload(
  services: StorageServices,
  session: StorageSession,
  id: string,
): Promise<ResumableUpload> {
  const upload = await services.uploads.find(session, id)
  if (upload === undefined) throw storageProblems.noSuchUpload()
  return upload
}

/**
 * Takes bytes at `offset`; what arrived counts even when the connection broke off. Gives the new offset.
 * @throws Problem 409 `UploadConflict` when the upload is not at that offset.
 */
export async function appendToUpload(
  services: StorageServices,
  session: StorageSession,
  id: string,
  offset: number,
  source: Readable,
  cancelled: AbortSignal,
): Promise<ResumableUpload> {
  const upload = await findResumableUpload(services, session, id)
  if (upload.offset !== offset || upload.finished) throw storageProblems.uploadConflict()
  if (upload.blobs.length >= MAX_PARTS) throw storageProblems.invalidRequest('The upload has too many parts.')
  const version = randomUUID()
  await services.objects.announceBlobs(session.asService(), [version], UPLOAD_HOURS)
  services.checkpoint('announced')
  try {
    const room = { bytes: upload.length - offset, problem: storageProblems.entityTooLarge }
    const body = takeWhatArrives(source, new MeasuredBody([room], services.bodyIdleMs), cancelled)
    await services.blobs.write({ tenantId: session.tenantId, version }, body)
    services.checkpoint('blob-written')
    if (body.bytes === 0) {
      discardBlobs(services, session, [version])
      return upload
    }
    const part = { v: version, n: body.bytes, h: body.digest() }
    if (!(await services.uploads.addPart(session, id, offset, part))) throw storageProblems.uploadConflict()
    services.checkpoint('committed')
    return { ...upload, offset: offset + part.n, blobs: [...upload.blobs, part] }
  } catch (fault) {
    discardBlobs(services, session, [version])
    throw fault
  }
}

/**
 * Turns a complete upload into its object, once. A process that died after the last part and before this leaves a complete
 * upload: the client, which had no answer, asks for the offset, and that ends here too.
 */
export async function finishUpload(
  services: StorageServices,
  session: StorageSession,
  upload: ResumableUpload,
  quotaBytes: number | null,
): Promise<StoredObject | undefined> {
  if (upload.finished || upload.offset < upload.length) return undefined
  const hashes = createHash('md5')
  for (const blob of upload.blobs) hashes.update(Buffer.from(blob.h, 'hex'))
  const [only] = upload.blobs
  // As S3 does: the MD5 of one part, or the MD5 of the parts' MD5s and their number.
  const digest =
    upload.blobs.length === 1 && only !== undefined ? only.h : `${hashes.digest('hex')}-${upload.blobs.length}`
  return commitObject(services, session, {
    bucket_id: upload.bucket,
    name: upload.name,
    upsert: upload.upsert,
    quotaBytes,
    owner: upload.owner,
    version: only?.v ?? randomUUID(),
    blobs: upload.blobs.map(({ v, n }) => ({ v, n })),
    size: upload.length,
    etag: `"${digest}"`,
    mimetype: upload.mimetype,
    cache_control: upload.cache_control,
    content_encoding: null,
    user_metadata: upload.user_metadata,
    upload: { id: upload.id, reservedBytes: upload.length },
  })
}

/** Ends an upload and removes its parts. */
export async function terminateUpload(services: StorageServices, session: StorageSession, id: string): Promise<void> {
  const blobs = await services.uploads.terminate(session, id)
  if (blobs === undefined) throw storageProblems.noSuchUpload()
  discardBlobs(
    services,
    session,
    blobs.map((blob) => blob.v),
  )
}

/** Ends the body, as if it had been all, when the connection breaks off or another request wants the upload. */
function takeWhatArrives(source: Readable, body: MeasuredBody, cancelled: AbortSignal): MeasuredBody {
  const end = () => {
    source.unpipe(body)
    if (!body.destroyed && !body.writableEnded) body.end()
  }
  source.once('error', end)
  source.once('close', end)
  cancelled.addEventListener('abort', end, { once: true })
  body.once('close', () => {
    source.off('close', end)
    source.on('error', () => {})
    cancelled.removeEventListener('abort', end)
    source.unpipe(body)
  })
  if (cancelled.aborted || source.destroyed) end()
  else source.pipe(body)
  return body
}
