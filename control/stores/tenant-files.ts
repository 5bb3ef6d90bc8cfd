import type { Clock } from '../../runtime/clock.ts'
import { SERVICE_TOKEN_HEADER, type ServiceTokenCodec } from '../../runtime/service-token.ts'

/** Removing a tenant's many files may take a while; what is left then is removed by the next try. */
const TIMEOUT_MS = 60_000

/** Ends every file of a tenant in the storage API's store; doing it again is no error. */
export type RemoveFiles = (tenantId: string) => Promise<void>

/**
 * Asks a backend, one after the other until one has done it: all share the store. Without a backend there are no files.
 * @throws when none of them did it.
 */
export function makeRemoveFiles(options: {
  backendUrls: readonly string[]
  tokens: ServiceTokenCodec
  clock: Clock
}): RemoveFiles {
  const { backendUrls, tokens, clock } = options
  return async (tenantId) => {
    let fault: unknown
    for (const backendUrl of backendUrls) {
      try {
        const response = await fetch(new URL(`/internal/v1/tenants/${tenantId}/files`, backendUrl), {
          method: 'DELETE',
          headers: { [SERVICE_TOKEN_HEADER]: tokens.sign('control', clock.nowMs()) },
          signal: AbortSignal.timeout(TIMEOUT_MS),
        })
        await response.arrayBuffer()
        if (response.status === 204) return
        fault = new Error(`The backend answered ${response.status}`)
      } catch (refused) {
        fault = refused
      }
    }
    if (fault !== undefined) throw fault
  }
}
