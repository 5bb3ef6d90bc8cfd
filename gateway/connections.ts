import { Problem } from '../runtime/problem.ts'
import type { ConnectionKeeper } from './connection-keeper.ts'
import type { Exchange } from './exchange.ts'

/** Step 5 of an upgrade, in the place of the monthly quota: the tenant's realtime connections. */
export function makeAdmitConnection(keeper: ConnectionKeeper) {
  return async function admitConnection(exchange: Exchange): Promise<void> {
    const { tenant, response } = exchange
    if (tenant === undefined) throw new Error('resolve comes before connections')
    const { tenant_id: tenantId, quotas } = tenant.snapshot
    if (!(await keeper.open(tenantId, quotas.realtime_connections)))
      throw new Problem(429, 'connection_limit_exceeded', {
        detail: `This tenant may hold ${quotas.realtime_connections} realtime connections.`,
        headers: { 'Retry-After': '10' },
      })
    if (response.destroyed) keeper.release(tenantId)
    // Whatever comes of the handshake: the place is free again when its socket is gone.
    else exchange.request.socket.once('close', () => keeper.release(tenantId))
  }
}
