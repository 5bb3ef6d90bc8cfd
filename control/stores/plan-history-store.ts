import type { Isolation } from '../../tenancy/plan.ts'
import type { Queryable } from './change.ts'

/** A tenant's history as metering takes it, whole. */
export type PlanHistory = {
  name: string
  version: number
  segments: { plan: string; isolation: Isolation; from: string; until: string | null }[]
}

/** Tenants whose history metering has not been told of, oldest change first. */
export async function listUntoldHistories(db: Queryable, limit: number): Promise<string[]> {
  const result = await db.query<{ tenant_id: string }>(
    'select tenant_id from control.plan_history_outbox order by version limit $1',
    [limit],
  )
  return result.rows.map((row) => row.tenant_id)
}

/** The history with the version of its last change; `undefined` when nothing of it is untold. */
export async function readPlanHistory(db: Queryable, tenantId: string): Promise<PlanHistory | undefined> {
  const result = await db.query<PlanHistory>(
    `select tenant.name, waiting.version,
       (select json_agg(json_build_object('plan', plan, 'isolation', isolation,
          'from', to_char(started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
          'until', to_char(ended_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) order by started_at)
        from control.plan_segments segment where segment.tenant_id = tenant.tenant_id) as segments
     from control.plan_history_outbox waiting join control.tenants tenant using (tenant_id)
     where tenant_id = $1`,
    [tenantId],
  )
  return result.rows[0]
}

/** Notes that metering was told, unless the history has changed again. */
export async function markHistoryTold(db: Queryable, tenantId: string, version: number): Promise<void> {
  await db.query('delete from control.plan_history_outbox where tenant_id = $1 and version = $2', [tenantId, version])
}
