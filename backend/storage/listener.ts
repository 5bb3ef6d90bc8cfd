import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { Problem } from '../../runtime/problem.ts'
import type { RequestContext } from '../../tenancy/request-context.ts'
import { storageProblems } from './errors.ts'
import { refuse } from './http/refuse.ts'
import { STORAGE_PATH, type StorageApi } from './storage-api.ts'

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/** Where control ends a tenant's files when it purges the tenant. */
const PURGE = /^\/internal\/v1\/tenants\/(ten_[0-9a-hjkmnp-tv-z]{26})\/files$/

/** Whether a request target is this API's. */
export function isStorage(url: string): boolean {
  return url.startsWith(`${STORAGE_PATH}/`) || PURGE.test(url)
}

/**
 * The API as Node's HTTP server takes it: bodies flow both ways on the request and the response themselves. `readContext` gives
 * the verified context of a request, or throws the problem to answer with; `isService` tells whether it is control's own.
 */
export function storageListener(
  api: StorageApi,
  readContext: (headers: IncomingHttpHeaders) => RequestContext,
  isService: (headers: IncomingHttpHeaders) => boolean,
): RequestListener {
  return (request, response) => {
    const inbound = request.headers['x-request-id']
    const requestId = typeof inbound === 'string' && REQUEST_ID.test(inbound) ? inbound : randomUUID()
    const purged = PURGE.exec(request.url ?? '')?.[1]
    if (purged !== undefined) {
      void purge(api, purged, isService(request.headers), request, response, requestId)
      return
    }
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

/** `DELETE /internal/v1/tenants/{tenant_id}/files`: answers 204 when no file of the tenant is left; asking again is no error. */
async function purge(
  api: StorageApi,
  tenantId: string,
  isAllowed: boolean,
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
): Promise<void> {
  try {
    if (!isAllowed) throw new Problem(401, 'service_token_required')
    if (request.method !== 'DELETE') throw storageProblems.noSuchRoute()
    await api.purgeTenant(tenantId)
    response.writeHead(204, { 'X-Request-Id': requestId }).end()
  } catch (fault) {
    refuse(request, response, fault, requestId)
  }
}
