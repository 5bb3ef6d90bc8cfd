import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestContext } from '../../../tenancy/request-context.ts'
import type { StorageSession } from '../session.ts'
import type { StorageServices } from '../steps/services.ts'
import type { UploadLocks } from '../steps/upload-locks.ts'

/** One request on its way through a route. `params` are decoded, and nothing more: each route checks what it uses. */
export type StorageCall = {
  request: IncomingMessage
  response: ServerResponse
  context: RequestContext
  session: StorageSession
  services: StorageServices
  locks: UploadLocks
  params: Readonly<Record<string, string>>
  query: URLSearchParams
}

export type RouteHandler = (call: StorageCall) => Promise<void>
export type Route = readonly [method: string, path: string, handler: RouteHandler]

/** A request header, where it was sent. */
export function header(call: StorageCall, name: string): string | undefined {
  const value = call.request.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** Whether the caller wants what exists to be replaced. */
export function wantsUpsert(call: StorageCall): boolean {
  return header(call, 'x-upsert') === 'true'
}

/** How much of files the tenant may keep; `null` is unlimited. */
export function quotaOf(call: StorageCall): number | null {
  return call.context.quotas.file_storage_bytes
}
