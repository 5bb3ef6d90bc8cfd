import type { Clock } from '../../runtime/clock.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { effectiveQuotas, type PlanCatalogue, type Quotas } from '../../tenancy/plan.ts'
import { inOneReplica } from '../one-replica.ts'
import { type NewAlert, openAlertsOnce, resolveOthers } from '../stores/alert-store.ts'
import { makeChange, type PublishTouched } from '../stores/change.ts'
import type { MeteringClient } from '../stores/metering-client.ts'
import type { TenantRow } from '../stores/tenant-store.ts'

const KIND = 'quota_threshold'
/** Per cent of a quota, with how bad it is to have reached it. */
export const THRESHOLDS = [
  { percent: 80, severity: 'info' },
  { percent: 90, severity: 'warning' },
  { percent: 100, severity: 'warning' },
] as const
const PAGE = 1_000

/** What a tenant has used, by the quota that bounds it. */
export type QuotaUse = Partial<Record<keyof Quotas, number>>
type Tenant = Pick<TenantRow, 'tenant_id' | 'name' | 'plan' | 'quotas' | 'documents_bytes' | 'files_bytes'>

/**
 * Opens an alert for each threshold of a quota that a tenant has reached: once for a threshold and month, whatever happens to
 * the use of it in between. It is resolved when the use is below again, the quota was raised or the month is over.
 */
export async function watchQuotas(options: {
  pool: PostgresPool
  publish: PublishTouched
  metering: MeteringClient
  catalogue: PlanCatalogue
  clock: Clock
}): Promise<void> {
  const { pool, publish, metering, catalogue, clock } = options
  await inOneReplica(pool, 'quota-watch', async () => {
    const month = new Date(clock.nowMs()).toISOString().slice(0, 7)
    const used = await readUse(metering, month)
    const { rows } = await pool.query<Tenant>(
      `select tenant_id, name, plan, quotas, documents_bytes, files_bytes from control.tenants
       where status in ('active', 'suspended', 'paused', 'migrating')`,
    )
    const alerts = rows.flatMap((tenant) => {
      const quotas = effectiveQuotas(catalogue.find(tenant.plan) ?? catalogue.defaultPlan, tenant.quotas)
      const use = {
        ...used.get(tenant.tenant_id),
        storage_bytes: tenant.documents_bytes,
        file_storage_bytes: tenant.files_bytes,
      }
      return findReached(tenant, quotas, use, month)
    })
    await makeChange(pool, publish, async (change) => {
      await openAlertsOnce(change, alerts)
      await resolveOthers(
        change,
        KIND,
        alerts.map(({ fingerprint }) => fingerprint),
      )
    })
  })
}

/** The thresholds that a tenant has reached. Pure. */
export function findReached(
  tenant: Pick<Tenant, 'tenant_id' | 'name'>,
  quotas: Quotas,
  use: QuotaUse,
  month: string,
): NewAlert[] {
  return (Object.entries(use) as [keyof Quotas, number][]).flatMap(([quota, used]) => {
    const limit = quotas[quota]
    if (limit === null || limit === 0) return []
    return THRESHOLDS.filter(({ percent }) => used * 100 >= limit * percent).map(({ percent, severity }) => ({
      fingerprint: `${KIND}:${quota}:${percent}:${tenant.tenant_id}:${month}`,
      kind: KIND,
      severity,
      tenantId: tenant.tenant_id,
      detail: `${tenant.name} has used ${percent} % of its quota ${quota}: ${used} of ${limit}.`,
      attributes: { quota, threshold_percent: percent, used, limit, month },
    }))
  })
}

async function readUse(metering: MeteringClient, month: string): Promise<Map<string, QuotaUse>> {
  const use = new Map<string, QuotaUse>()
  for (let after: string | null = ''; after !== null; ) {
    const page = await metering.readQuotaUse(month, after, PAGE)
    for (const row of page.data)
      use.set(row.tenant_id, {
        api_requests_per_month: row.api_requests,
        realtime_connections: row.peak_connections,
      })
    after = page.next_after
  }
  return use
}
