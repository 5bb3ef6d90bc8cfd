import type { Queryable } from '../stores/change.ts'
import type { TenantRow } from '../stores/tenant-store.ts'

/** The living tenant of that name, if anybody may see its status page. */
export async function findPublicTenant(
  db: Queryable,
  name: string,
): Promise<Pick<TenantRow, 'tenant_id' | 'name' | 'status'> | undefined> {
  const result = await db.query<Pick<TenantRow, 'tenant_id' | 'name' | 'status'>>(
    `select tenant_id, name, status from control.tenants
     where name = $1 and public_status and status in ('active', 'paused', 'migrating', 'suspended')`,
    [name],
  )
  return result.rows[0]
}

export type PlatformNow = { served: number; down: number }

/** How many tenants are to be served, and how many of them are not, at this moment. */
export async function readPlatformNow(db: Queryable): Promise<PlatformNow> {
  const result = await db.query<PlatformNow>(
    `select (select count(*)::int from control.tenants where status in ('active', 'paused', 'migrating')) as served,
       (select count(distinct tenant_id)::int from control.incidents where ended_at is null) as down`,
  )
  return result.rows[0] ?? { served: 0, down: 0 }
}

export type PlatformDay = { day: number; served: number; down: number }

/**
 * For each day from `from` (seconds) on that has any: for how many seconds tenants were to be served, all of them added up, and for
 * how many of these they were not. What lies in maintenance windows of the platform is no downtime.
 */
export async function readPlatformDays(db: Queryable, from: number, untilSecond: number): Promise<PlatformDay[]> {
  const result = await db.query<PlatformDay>(
    `with days as (
       select day, least(day + interval '1 day', to_timestamp($2)) as finish
       from generate_series(to_timestamp($1), to_timestamp($2), interval '1 day') as day),
     served as (
       select day, sum(extract(epoch from least(coalesce(ended_at, finish), finish) - greatest(started_at, day))) as seconds
       from days join control.serving_segments on started_at < finish and coalesce(ended_at, 'infinity') > day group by day),
     down as (
       select day, sum(extract(epoch from stretch.until - stretch.since)) as seconds
       from days join control.incidents i on i.started_at < finish and coalesce(i.ended_at, 'infinity') > day,
         lateral (select unnest(tstzmultirange(tstzrange(greatest(i.started_at, day), least(coalesce(i.ended_at, finish), finish)))
           - coalesce((select range_agg(tstzrange(w.starts_at, w.ends_at)) from control.maintenance_windows w
             where w.tenant_id is null or w.tenant_id = i.tenant_id), '{}'::tstzmultirange)) as part) as parts,
         lateral (select lower(part) as since, upper(part) as until) as stretch
       group by day)
     select extract(epoch from day)::float8 as day, served.seconds::float8 as served, coalesce(down.seconds, 0)::float8 as down
     from served left join down using (day) order by day`,
    [from, untilSecond],
  )
  return result.rows
}

export type ShownWindow = { starts_at: Date; ends_at: Date; reason: string }

/** Maintenance of the whole platform, and of the tenant where one is named, that is on or announced. */
export async function listShownWindows(db: Queryable, tenantId: string | null, now: Date): Promise<ShownWindow[]> {
  const result = await db.query<ShownWindow>(
    `select starts_at, ends_at, reason from control.maintenance_windows
     where (tenant_id is null or tenant_id = $1) and ends_at > $2 order by starts_at limit 20`,
    [tenantId, now],
  )
  return result.rows
}
