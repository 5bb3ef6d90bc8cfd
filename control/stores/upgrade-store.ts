import type { Queryable } from './change.ts'

/** What tenants are to have: the objects that control lays down, and the tables that backends make (`null`: nobody can tell now). */
export type TargetVersions = { objects: number; tables: number | null }

export type DueTenant = { tenant_id: string; objects_version: number; tables_version: number }

/** How far an upgrade is, over all tenants that are not deleted. */
export type UpgradeProgress = {
  total: number
  current: number
  /** They sleep or are suspended asleep, and are upgraded once they run. */
  paused: number
  failed: number
  due: number
}

export type FailedUpgrade = { tenant_id: string; name: string; error: string; failed_at: Date }

const LIVING = `status in ('active', 'suspended', 'paused', 'migrating') and server is not null`
const IS_BEHIND = `(objects_version < $1 or (tables_version < $2 and backend is null))`
/** After this a tenant whose upgrade failed is tried again. */
const RETRY_AFTER = `interval '10 minutes'`

/** Tenants whose upgrade is due now, in the order of creation. Those under way elsewhere come later. */
export async function listDueUpgrades(db: Queryable, target: TargetVersions, limit: number): Promise<DueTenant[]> {
  const result = await db.query<DueTenant>(
    `select tenant_id, objects_version, tables_version from control.tenants
     where status in ('active', 'suspended') and server is not null and ${IS_BEHIND}
       and (upgrade_failed_at is null or upgrade_failed_at < now() - ${RETRY_AFTER})
       and not exists (select from control.operations o where o.tenant_id = tenants.tenant_id and o.status = 'running')
     order by position limit $3`,
    [target.objects, target.tables ?? 0, limit],
  )
  return result.rows
}

/** Notes what a tenant has now. What callers see of it has not changed. */
export async function noteUpgraded(
  db: Queryable,
  tenantId: string,
  versions: { objects: number; tables: number },
): Promise<void> {
  await db.query(
    `update control.tenants set objects_version = greatest(objects_version, $2), tables_version = greatest(tables_version, $3),
       upgrade_failed_at = null, upgrade_error = null where tenant_id = $1`,
    [tenantId, versions.objects, versions.tables],
  )
}

export async function noteUpgradeFailed(db: Queryable, tenantId: string, error: string): Promise<void> {
  await db.query('update control.tenants set upgrade_failed_at = now(), upgrade_error = $2 where tenant_id = $1', [
    tenantId,
    error.slice(0, 500),
  ])
}

export async function readUpgradeProgress(db: Queryable, target: TargetVersions): Promise<UpgradeProgress> {
  const result = await db.query<UpgradeProgress>(
    `select count(*)::int as total, count(*) filter (where not ${IS_BEHIND})::int as current,
       count(*) filter (where ${IS_BEHIND} and status = 'paused')::int as paused,
       count(*) filter (where ${IS_BEHIND} and status <> 'paused' and upgrade_failed_at is not null)::int as failed,
       count(*) filter (where ${IS_BEHIND} and status <> 'paused' and upgrade_failed_at is null)::int as due
     from control.tenants where ${LIVING}`,
    [target.objects, target.tables ?? 0],
  )
  return result.rows[0] ?? { total: 0, current: 0, paused: 0, failed: 0, due: 0 }
}

export async function listFailedUpgrades(db: Queryable, limit: number): Promise<FailedUpgrade[]> {
  const result = await db.query<FailedUpgrade>(
    `select tenant_id, name, coalesce(upgrade_error, '') as error, upgrade_failed_at as failed_at from control.tenants
     where upgrade_failed_at is not null and ${LIVING} order by upgrade_failed_at desc limit $1`,
    [limit],
  )
  return result.rows
}
