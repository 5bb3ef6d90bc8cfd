import { storageProblems } from '../errors.ts'
import { checkBucketName, checkKey } from '../names.ts'
import type { StorageSession } from '../session.ts'
import {
  appendToUpload,
  createResumableUpload,
  findResumableUpload,
  finishUpload,
  terminateUpload,
} from '../steps/resumable-upload.ts'
import type { ResumableUpload } from '../stores/resumable-store.ts'
import { header, quotaOf, type Route, type StorageCall, wantsUpsert } from './call.ts'
import { readCacheControl, readMimeType, readUserMetadata } from './object-headers.ts'
import { openSignedUpload } from './signed-routes.ts'
import { readUploadMetadata, writeUploadMetadata } from './upload-metadata.ts'

/**
 * The TUS protocol 1.0.0 with the extensions creation, creation-with-upload, termination and expiration. It is spoken here and
 * not by a library because an offset counts only when a transaction in the tenant's schema says so, with its locks and rights;
 * around that, little of a library would be left. Tests drive it with tus-js-client.
 */
const VERSION = '1.0.0'
const EXTENSIONS = 'creation,creation-with-upload,termination,expiration'
const CHUNK_TYPE = 'application/offset+octet-stream'

const PLAIN = '/upload/resumable'
const SIGNED = '/upload/resumable/sign'

export const resumableRoutes: readonly Route[] = [SIGNED, PLAIN].flatMap((path): Route[] => [
  ['OPTIONS', path, describe],
  ['OPTIONS', `${path}/:upload`, describe],
  ['POST', path, (call) => create(call, path)],
  ['HEAD', `${path}/:upload`, tellOffset],
  ['PATCH', `${path}/:upload`, append],
  ['DELETE', `${path}/:upload`, terminate],
  ['POST', `${path}/:upload`, overridden],
])

async function describe(call: StorageCall): Promise<void> {
  call.response
    .writeHead(204, {
      'Tus-Resumable': VERSION,
      'Tus-Version': VERSION,
      'Tus-Extension': EXTENSIONS,
      'Tus-Max-Size': call.services.maxObjectBytes,
    })
    .end()
}

async function create(call: StorageCall, path: string): Promise<void> {
  requireVersion(call)
  const metadata = readUploadMetadata(header(call, 'upload-metadata'))
  const at = { bucket: checkBucketName(metadata.get('bucketName')), name: checkKey(metadata.get('objectName')) }
  const length = wholeNumber(header(call, 'upload-length'))
  if (length === undefined) throw storageProblems.invalidRequest('Upload-Length is required.')
  let { session } = call
  let upsert = wantsUpsert(call)
  if (path === SIGNED) {
    const signed = await openSignedUpload(call, header(call, 'x-signature'), at)
    session = signed.session
    upsert = signed.upsert
  }
  const { services } = call
  let upload = await createResumableUpload(
    services,
    session,
    { ...at, length, upsert, quotaBytes: quotaOf(call) },
    {
      mimetype: readMimeType(metadata.get('contentType')),
      cache_control: readCacheControl(metadata.get('cacheControl')),
      user_metadata: readUserMetadata(metadata.get('metadata')),
    },
  )
  if (header(call, 'content-type') === CHUNK_TYPE && header(call, 'content-length') !== '0') {
    const { id } = upload
    upload = await call.locks.hold(id, (cancelled) => appendToUpload(services, session, id, 0, call.request, cancelled))
  }
  await finishUpload(services, session, upload, quotaOf(call))
  call.response.writeHead(201, { ...progress(upload), Location: `/storage/v1${path}/${upload.id}` }).end()
}

async function tellOffset(call: StorageCall): Promise<void> {
  requireVersion(call)
  const { session, id } = await openUpload(call)
  const upload = await call.locks.hold(id, async () => {
    const current = await findResumableUpload(call.services, session, id)
    await finishUpload(call.services, session, current, quotaOf(call))
    return current
  })
  call.response
    .writeHead(200, {
      ...progress(upload),
      'Upload-Length': upload.length,
      'Upload-Metadata': writeUploadMetadata(upload),
      'Cache-Control': 'no-store',
    })
    .end()
}

async function append(call: StorageCall): Promise<void> {
  requireVersion(call)
  if (header(call, 'content-type') !== CHUNK_TYPE)
    throw storageProblems.unsupportedMediaType(`The content type must be ${CHUNK_TYPE}.`)
  const offset = wholeNumber(header(call, 'upload-offset'))
  if (offset === undefined) throw storageProblems.invalidRequest('Upload-Offset is required.')
  const { session, id } = await openUpload(call)
  const upload = await call.locks.hold(id, async (cancelled) => {
    const grown = await appendToUpload(call.services, session, id, offset, call.request, cancelled)
    await finishUpload(call.services, session, grown, quotaOf(call))
    return grown
  })
  call.response.writeHead(204, progress(upload)).end()
}

async function terminate(call: StorageCall): Promise<void> {
  requireVersion(call)
  const { session, id } = await openUpload(call)
  await call.locks.hold(id, () => terminateUpload(call.services, session, id))
  call.response.writeHead(204, { 'Tus-Resumable': VERSION }).end()
}

/** For clients that may send nothing but GET and POST. */
async function overridden(call: StorageCall): Promise<void> {
  const method = header(call, 'x-http-method-override')?.toUpperCase()
  if (method === 'PATCH') return append(call)
  if (method === 'DELETE') return terminate(call)
  if (method === 'HEAD') return tellOffset(call)
  throw storageProblems.noSuchRoute()
}

/** Whose rights count: the caller's, or on a signed address the signer's, whose token must name the upload's own place. */
async function openUpload(call: StorageCall): Promise<{ session: StorageSession; id: string }> {
  const id = call.params.upload ?? ''
  const token = header(call, 'x-signature')
  if (token === undefined) return { session: call.session, id }
  const upload = await findResumableUpload(call.services, call.session.asService(), id)
  const { session } = await openSignedUpload(call, token, upload)
  return { session, id }
}

function progress(upload: ResumableUpload): Record<string, string | number> {
  return {
    'Tus-Resumable': VERSION,
    'Upload-Offset': upload.offset,
    'Upload-Expires': new Date(upload.expiresAtMs).toUTCString(),
  }
}

function requireVersion(call: StorageCall): void {
  call.response.setHeader('Tus-Resumable', VERSION)
  if (header(call, 'tus-resumable') !== VERSION) throw storageProblems.tusVersion(VERSION)
}

function wholeNumber(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined
}
