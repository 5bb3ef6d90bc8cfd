import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { effectiveQuotas, type PlanCatalogue } from '../../tenancy/plan.ts'
import { makeChange, type PublishTouched } from '../stores/change.ts'
import type { MeteringClient, StoragePage } from '../stores/metering-client.ts'
import { judgeStorage } from '../stores/storage-flags.ts'
import { lockTenant, updateTenant } from '../stores/tenant-store.ts'

const PAGE = 500

/**
 * Takes over what tenants' data takes up, as metering has sampled it, and publishes a tenant whose quota is now used up
 * or is no longer. Only tenants whose numbers changed are written.
 */
export async function refreshStorage(options: {
  pool: PostgresPool
  publish: PublishTouched
  metering: MeteringClient
  catalogue: PlanCatalogue
}): Promise<void> {
  let after: string | null = null
  do {
    const page: StoragePage = await options.metering.readStorage(after, PAGE)
    await takeOver(options, page)
    after = page.next_after
  } while (after !== null)
}

async function takeOver(
  { pool, publish, catalogue }: { pool: PostgresPool; publish: PublishTouched; catalogue: PlanCatalogue },
  page: StoragePage,
): Promise<void> {
  if (page.data.length === 0) return
  await pool.query(
    `update control.tenants tenant
     set documents_bytes = coalesce(sample.documents_bytes, tenant.documents_bytes),
         files_bytes = coalesce(sample.files_bytes, tenant.files_bytes)
     from unnest($1::text[], $2::bigint[], $3::bigint[]) as sample (tenant_id, documents_bytes, files_bytes)
     where tenant.tenant_id = sample.tenant_id
       and (coalesce(sample.documents_bytes, tenant.documents_bytes), coalesce(sample.files_bytes, tenant.files_bytes))
           is distinct from (tenant.documents_bytes, tenant.files_bytes)`,
    [
      page.data.map((row) => row.tenant_id),
      page.data.map((row) => row.documents_bytes),
      page.data.map((row) => row.files_bytes),
    ],
  )
  const rows = await pool.query<{ tenant_id: string }>(
    `select tenant_id from control.tenants
     where tenant_id = any($1) and status not in ('deleting', 'deleted', 'failed')
       and (documents_bytes > 0 or files_bytes > 0 or storage_exceeded or file_storage_exceeded)`,
    [page.data.map((row) => row.tenant_id)],
  )
  for (const { tenant_id } of rows.rows) await updateFlags(pool, publish, catalogue, tenant_id)
}

async function updateFlags(pool: PostgresPool, publish: PublishTouched, catalogue: PlanCatalogue, tenantId: string) {
  await makeChange(pool, publish, async (change) => {
    const row = await lockTenant(change, tenantId)
    if (row === undefined || row.status === 'deleting' || row.status === 'deleted' || row.status === 'failed') return
    const flags = judgeStorage(row, effectiveQuotas(catalogue.find(row.plan) ?? catalogue.defaultPlan, row.quotas))
    if (flags.storage_exceeded !== row.storage_exceeded || flags.file_storage_exceeded !== row.file_storage_exceeded)
      await updateTenant(change, tenantId, flags)
  })
}
