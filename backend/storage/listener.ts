import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders, RequestListener } from 'node:http'
import type { RequestContext } from '../../tenancy/request-context.ts'
import { refuse } from './http/refuse.ts'
import { STORAGE_PATH, type StorageApi } from './storage-api.ts'

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/** Whether a request target is this API's. */
export function isStorage(url: string): boolean {
  return url.startsWith(`${STORAGE_PATH}/`)
}

/**
 * The API as Node's HTTP server takes it: bodies flow both ways on the request and the response themselves. `readContext` gives
 * the verified context of a request, or throws the problem to answer with.
 */
export function storageListener(
  api: StorageApi,
  readContext: (headers: IncomingHttpHeaders) => RequestContext,
): RequestListener {
  return (request, response) => {
    const inbound = request.headers['x-request-id']
    const requestId = typeof inbound === 'string' && REQUEST_ID.test(inbound) ? inbound : randomUUID()
    let context: RequestContext
    try {
      context = readContext(request.headers)
    } catch (fault) {
      refuse(request, response, fault, requestId)
      return
    }
    void api.handle(request, response, context, requestId)
  }
}
