import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { appendAudit } from '../stores/audit-store.ts'
import { type Change, makeChange, type PublishTouched } from '../stores/change.ts'
import { dropOldIdempotencyKeys, IDEMPOTENCY_SECONDS } from '../stores/idempotency-store.ts'
import { addOperationJob, dropOldResults, insertOperation, listAbandonedOperations } from '../stores/operation-store.ts'
import { dropOldSessions } from '../stores/session-store.ts'
import { lockTenant } from '../stores/tenant-store.ts'

/** One recurring duty; every replica runs it, so it must do no harm twice. */
export type Duty = {
  name: string
  everyMs: number
  /** Of the first run after the start; at once when it is not given. */
  firstAfterMs?: number
  run: () => Promise<void>
}

/** Runs duties, each after its own interval, until stopped. A duty that fails is logged and tried again next time. */
export function startDuties(duties: readonly Duty[], log: Logger): { stop: () => Promise<void> } {
  const controller = new AbortController()
  const loops = duties.map(async (duty) => {
    const pause = (ms: number) => sleep(ms, undefined, { signal: controller.signal }).catch(() => {})
    if (duty.firstAfterMs !== undefined) await pause(duty.firstAfterMs)
    while (!controller.signal.aborted) {
      try {
        await duty.run()
      } catch (fault) {
        log.warn({ err: fault, duty: duty.name }, 'a duty failed')
      }
      await pause(duty.everyMs)
    }
  })
  return {
    stop: async () => {
      controller.abort()
      await Promise.all(loops)
    },
  }
}

/** Queues operations that nobody works on: their process died (the queue itself notices that only after hours). */
export async function requeueAbandoned(pool: PostgresPool): Promise<void> {
  for (const operationId of await listAbandonedOperations(pool, 100)) await addOperationJob(pool, operationId, 0)
}

/** Begins the purge of tenants whose retention is over. */
export async function purgeExpired(pool: PostgresPool, publish: PublishTouched): Promise<void> {
  const due = await pool.query<{ tenant_id: string }>(
    `select tenant_id from control.tenants
     where purge_after <= now() and purged_at is null and status in ('deleted', 'failed') order by purge_after limit 20`,
  )
  for (const { tenant_id } of due.rows) await makeChange(pool, publish, (change) => beginPurge(change, tenant_id))
}

async function beginPurge(change: Change, tenantId: string): Promise<void> {
  const tenant = await lockTenant(change, tenantId)
  const isDue = tenant?.purge_after != null && tenant.purge_after.getTime() <= Date.now()
  if (tenant === undefined || !isDue || (tenant.status !== 'deleted' && tenant.status !== 'failed')) return
  await insertOperation(change, { tenantId, kind: 'purge', jobDelaySeconds: 0 })
  await change.tx.query(`update control.tenants set status = 'deleting' where tenant_id = $1`, [tenantId])
  await appendAudit(
    change,
    { actor: 'system:retention', address: null, requestId: null },
    { action: 'tenant.purge', target: tenantId, before: { status: tenant.status }, after: { status: 'deleting' } },
  )
}

/** Forgets answers, results and keys that nobody can ask for any more. */
export async function forgetOld(pool: PostgresPool): Promise<void> {
  await dropOldIdempotencyKeys(pool)
  await dropOldResults(pool, IDEMPOTENCY_SECONDS)
  await dropOldSessions(pool)
  await pool.query(`delete from control.webhook_deliveries where created_at < now() - interval '14 days'`)
  await pool.query(`delete from control.operations where finished_at < now() - interval '90 days'`)
}
