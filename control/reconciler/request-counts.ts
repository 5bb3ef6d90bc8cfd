import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { MeteringClient, QuotaUsePage } from '../stores/metering-client.ts'

const PAGE = 1_000

/** Takes over how many requests each tenant has made this month, for lists. Only tenants whose number changed are written. */
export async function refreshRequestCounts(pool: PostgresPool, metering: MeteringClient, nowMs: number): Promise<void> {
  const month = new Date(nowMs).toISOString().slice(0, 7)
  let after: string | null = ''
  do {
    const page: QuotaUsePage = await metering.readQuotaUse(month, after, PAGE)
    if (page.data.length > 0)
      await pool.query(
        `insert into control.tenant_requests as known (tenant_id, month, requests)
         select counted.tenant_id, $1, counted.requests
         from unnest($2::text[], $3::bigint[]) as counted (tenant_id, requests) join control.tenants using (tenant_id)
         where purged_at is null
         order by 1
         on conflict (tenant_id) do update set month = excluded.month, requests = excluded.requests
           where (known.month, known.requests) is distinct from (excluded.month, excluded.requests)`,
        [month, page.data.map((row) => row.tenant_id), page.data.map((row) => row.api_requests)],
      )
    after = page.next_after
  } while (after !== null)
}
