import { pipeline } from 'node:stream/promises'
import { BlobMissingError } from '../blobs/blob-store.ts'
import { attachmentDisposition } from '../content-disposition.ts'
import { storageProblems } from '../errors.ts'
import { baseName } from '../names.ts'
import { evaluatePreconditions, rangeApplies } from '../preconditions.ts'
import { parseRange } from '../range.ts'
import { readObject } from '../steps/read-object.ts'
import type { StoredObject } from '../stores/stored-object.ts'
import { header, type StorageCall } from './call.ts'

/** Types that a browser runs on the tenant's origin when they are opened: these get an origin of their own. */
const ACTIVE_CONTENT = /html|xml|svg|javascript|ecmascript/i

/**
 * Answers a GET or HEAD with an object: conditional requests, one range, `?download=`, streamed with backpressure. `find` is
 * asked again when the blob is gone by the time it is opened, which is when somebody replaced the object in between.
 */
export async function sendObject(
  call: StorageCall,
  find: () => Promise<StoredObject>,
  cacheControlOf: (object: StoredObject) => string,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const object = await find()
    try {
      await sendOnce(call, object, cacheControlOf(object))
      return
    } catch (fault) {
      if (!(fault instanceof BlobMissingError) || attempt === 3) throw fault
    }
  }
}

async function sendOnce(call: StorageCall, object: StoredObject, cacheControl: string): Promise<void> {
  const { request, response, services } = call
  const modifiedAt = new Date(object.updated_at)
  const validators = { etag: object.etag, modifiedAtMs: modifiedAt.getTime() }
  const headers: Record<string, string | number> = {
    ETag: object.etag,
    'Last-Modified': modifiedAt.toUTCString(),
    'Cache-Control': cacheControl,
  }
  const verdict = evaluatePreconditions(request.headers, validators)
  if (verdict !== 'proceed') {
    response.writeHead(verdict === 'unchanged' ? 304 : 412, headers).end()
    return
  }
  // A range is defined for GET only (RFC 9110, section 14.2).
  const ranged = request.method === 'GET' && rangeApplies(request.headers, validators)
  const range = ranged ? parseRange(header(call, 'range'), object.size) : undefined
  if (range === 'unsatisfiable') throw storageProblems.invalidRange(object.size)
  headers['Accept-Ranges'] = 'bytes'
  headers['Content-Type'] = object.mimetype
  headers['Content-Length'] = range === undefined ? object.size : range.last - range.first + 1
  headers['X-Content-Type-Options'] = 'nosniff'
  if (range !== undefined) headers['Content-Range'] = `bytes ${range.first}-${range.last}/${object.size}`
  if (object.content_encoding !== null) headers['Content-Encoding'] = object.content_encoding
  if (ACTIVE_CONTENT.test(object.mimetype)) headers['Content-Security-Policy'] = 'sandbox'
  const download = call.query.get('download')
  if (download !== null)
    headers['Content-Disposition'] = attachmentDisposition(download === '' ? baseName(object.name) : download)
  const status = range === undefined ? 200 : 206
  if (request.method === 'HEAD') {
    response.writeHead(status, headers).end()
    return
  }
  const bytes = await readObject(services.blobs, call.session.tenantId, object.blobs, range)
  response.writeHead(status, headers)
  await pipeline(bytes, response)
}
