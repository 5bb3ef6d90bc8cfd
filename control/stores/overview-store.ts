import type { Queryable } from './change.ts'

const LAST_DAY_MS = 86_400_000

type Counts = Record<string, number>

/** The platform in figures: one statement, over indexes or a scan of one row a tenant. */
export async function readOverview(db: Queryable, nowMs: number) {
  const { rows } = await db.query<{
    total: number
    by_plan: Counts | null
    by_status: Counts | null
    by_isolation: Counts | null
    documents_bytes: number
    files_bytes: number
    under_way: number
    failed_last_day: number
    open: number
    critical: number
  }>(
    `with living as (select plan, isolation from control.tenants where purged_at is null and status <> 'deleted')
     select t.total, t.documents_bytes, t.files_bytes, t.by_status,
       (select json_object_agg(plan, count) from (select plan, count(*)::int from living group by plan) p) as by_plan,
       (select json_object_agg(isolation, count) from (select isolation, count(*)::int from living group by isolation) i)
         as by_isolation,
       (select count(*)::int from control.operations where status = 'running') as under_way,
       (select count(*)::int from control.operations where status = 'failed' and created_at > $1) as failed_last_day,
       (select count(*)::int from control.alerts where resolved_at is null) as open,
       (select count(*)::int from control.alerts where resolved_at is null and severity = 'critical') as critical
     from (
       select coalesce(sum(count), 0)::int as total, json_object_agg(status, count) as by_status,
         coalesce(sum(documents), 0)::float8 as documents_bytes, coalesce(sum(files), 0)::float8 as files_bytes
       from (select status, count(*)::int, sum(documents_bytes) as documents, sum(files_bytes) as files
             from control.tenants where purged_at is null group by status) s) t`,
    [new Date(nowMs - LAST_DAY_MS)],
  )
  const row = rows[0]
  return {
    tenants: {
      total: row?.total ?? 0,
      by_plan: row?.by_plan ?? {},
      by_status: row?.by_status ?? {},
      by_isolation: row?.by_isolation ?? {},
    },
    storage: { documents_bytes: row?.documents_bytes ?? 0, files_bytes: row?.files_bytes ?? 0 },
    operations: { under_way: row?.under_way ?? 0, failed_last_day: row?.failed_last_day ?? 0 },
    alerts: { open: row?.open ?? 0, critical: row?.critical ?? 0 },
    as_of: new Date(nowMs).toISOString(),
  }
}
