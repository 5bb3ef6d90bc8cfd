import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { Problem } from '../../runtime/problem.ts'
import { inOneReplica } from '../one-replica.ts'
import { appendAudit } from '../stores/audit-store.ts'
import { makeChange, type PublishTouched } from '../stores/change.ts'
import { MAX_MOVES } from '../stores/move-store.ts'
import { lockTenant, updateTenant } from '../stores/tenant-store.ts'
import { beginMove } from './begin-move.ts'

/** One place is left for moves that callers ask for. */
const MAX_DRAINING = MAX_MOVES - 1
/** A tenant whose move failed (something of it cannot be moved, a server is full) is tried again after this. */
const RETRY_AFTER = `interval '10 minutes'`

/**
 * Moves the tenants of draining servers to others, some at a time, while they serve. Suspended ones go as they are; deleted
 * ones stay until they are purged. Begun by one replica at a time; who runs the moves is the queue's matter.
 */
export async function drainServers(options: {
  pool: PostgresPool
  publish: PublishTouched
  log: Logger
}): Promise<void> {
  const { pool, publish, log } = options
  await inOneReplica(pool, 'drain', async () => {
    const due = await pool.query<{ tenant_id: string; server: string }>(
      `select tenant_id, server from control.tenants tenant join control.servers using (server)
       where draining and kind = 'shared' and isolation = 'schema' and backend is null
         and status in ('active', 'suspended') and not exists (
           select from control.operations operation where operation.tenant_id = tenant.tenant_id
             and (operation.status = 'running'
               or (kind = 'move' and operation.status = 'failed' and finished_at > now() - ${RETRY_AFTER})))
       order by server, tenant_id
       limit greatest(0, $1 - (select count(*)::int from control.operations where kind = 'move' and status = 'running'))`,
      [MAX_DRAINING],
    )
    for (const { tenant_id, server } of due.rows)
      try {
        await beginDrainOf(pool, publish, tenant_id, server)
      } catch (fault) {
        // It changed meanwhile, or the places are taken: looked at again next time.
        if (!(fault instanceof Problem)) throw fault
        log.debug({ err: fault, tenant_id }, 'a tenant of a draining server is not moved yet')
      }
  })
}

async function beginDrainOf(
  pool: PostgresPool,
  publish: PublishTouched,
  tenantId: string,
  server: string,
): Promise<void> {
  await makeChange(pool, publish, async (change) => {
    const tenant = await lockTenant(change, tenantId)
    const isDue = tenant?.server === server && (tenant.status === 'active' || tenant.status === 'suspended')
    if (!isDue) return
    await beginMove(change, tenant, 'schema', 0)
    if (tenant.status === 'active') await updateTenant(change, tenantId, { status: 'migrating' })
    await appendAudit(
      change,
      { actor: 'system:drain', address: null, requestId: null },
      { action: 'tenant.move', target: tenantId, before: { server }, after: { server: null } },
    )
  })
}
