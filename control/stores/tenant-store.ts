import pg from 'pg'
import { Problem } from '../../runtime/problem.ts'
import type { Isolation, Quotas } from '../../tenancy/plan.ts'
import type { TenantStatus } from '../../tenancy/tenant.ts'
import type { Change, Queryable } from './change.ts'
import { markTouched } from './outbox-store.ts'

/** One row of `control.tenants`; `quotas` holds the tenant's own overrides only. */
export type TenantRow = {
  tenant_id: string
  name: string
  plan: string
  region: string
  isolation: Isolation
  status: TenantStatus
  status_before_delete: TenantStatus | null
  quotas: Partial<Quotas>
  documents_bytes: number
  files_bytes: number
  storage_exceeded: boolean
  file_storage_exceeded: boolean
  jwt_sealed_secret: string | null
  jwt_jwks_url: string | null
  jwt_issuer: string | null
  jwt_audience: string | null
  server: string | null
  backend: string | null
  public_status: boolean
  /** Set for the moment of a move's cut: until then, at most, gateways let writes wait. */
  writes_held_until: Date | null
  version: number
  /** In the order of creation. */
  position: number
  created_at: Date
  updated_at: Date
  deleted_at: Date | null
  purge_after: Date | null
  purged_at: Date | null
}

/** The columns that changes set; everything else is identity or kept by the store itself. */
export type TenantFields = Partial<
  Omit<
    TenantRow,
    'tenant_id' | 'name' | 'version' | 'position' | 'created_at' | 'updated_at' | 'documents_bytes' | 'files_bytes'
  >
>

/**
 * Serialises everything that takes or frees a name, to the end of the transaction: a later owner of the name then always
 * has the higher version, so an old tenant's document never covers a new one's. Locks are taken in one order everywhere, so
 * that no two changes wait for each other: name, tenant, operation, server, outbox, audit log.
 */
export async function lockName(change: Change, name: string): Promise<void> {
  await change.tx.query(`select pg_advisory_xact_lock(hashtextextended('control.tenant-name:' || $1, 0))`, [name])
}

/** @throws Problem 409 `name_taken` when a living tenant has the name. */
export async function insertTenant(
  change: Change,
  tenant: Pick<TenantRow, 'tenant_id' | 'name' | 'plan' | 'region' | 'isolation' | 'backend' | 'server'> & {
    objectsVersion: number
  },
): Promise<TenantRow> {
  await lockName(change, tenant.name)
  try {
    const result = await change.tx.query<TenantRow>(
      `insert into control.tenants (tenant_id, name, plan, region, isolation, backend, server, status, objects_version)
       values ($1, $2, $3, $4, $5, $6, $7, 'provisioning', $8) returning *`,
      [
        tenant.tenant_id,
        tenant.name,
        tenant.plan,
        tenant.region,
        tenant.isolation,
        tenant.backend,
        tenant.server,
        tenant.objectsVersion,
      ],
    )
    const row = result.rows[0]
    if (row === undefined) throw new Error('unreachable')
    await markTouched(change, 'tenant', row.name, row.version)
    return row
  } catch (fault) {
    throw asNameTaken(fault)
  }
}

/** The tenant unless it was purged; `undefined` for an unknown id. */
export async function findTenant(db: Queryable, tenantId: string): Promise<TenantRow | undefined> {
  const result = await db.query<TenantRow>('select * from control.tenants where tenant_id = $1 and purged_at is null', [
    tenantId,
  ])
  return result.rows[0]
}

/** Like `findTenant`, holding the row to the end of the transaction. */
export async function lockTenant(change: Change, tenantId: string): Promise<TenantRow | undefined> {
  const result = await change.tx.query<TenantRow>(
    'select * from control.tenants where tenant_id = $1 and purged_at is null for update',
    [tenantId],
  )
  return result.rows[0]
}

/** True for every id that ever was a tenant's, also after a purge: its usage and invoices are still asked for. */
export async function tenantExisted(db: Queryable, tenantId: string): Promise<TenantRow | undefined> {
  const result = await db.query<TenantRow>('select * from control.tenants where tenant_id = $1', [tenantId])
  return result.rows[0]
}

/** Like `lockTenant`, also for one that was purged. @throws when there never was such a tenant. */
export async function lockAnyTenant(change: Change, tenantId: string): Promise<TenantRow> {
  const result = await change.tx.query<TenantRow>('select * from control.tenants where tenant_id = $1 for update', [
    tenantId,
  ])
  const row = result.rows[0]
  if (row === undefined) throw new Error('There is no such tenant')
  return row
}

/** Sets fields of a tenant, draws its next version and has its document published. */
export async function updateTenant(change: Change, tenantId: string, fields: TenantFields): Promise<TenantRow> {
  const names = Object.keys(fields) as (keyof TenantFields)[]
  const assignments = names.map((name, i) => `${pg.escapeIdentifier(name)} = $${i + 2}`)
  try {
    const result = await change.tx.query<TenantRow>(
      `update control.tenants set ${[...assignments, `version = nextval('control.directory_version')`, 'updated_at = now()'].join(', ')}
       where tenant_id = $1 returning *`,
      [tenantId, ...names.map((name) => fields[name])],
    )
    const row = result.rows[0]
    if (row === undefined) throw new Error('The tenant to change is not there')
    await markTouched(change, 'tenant', row.name, row.version)
    return row
  } catch (fault) {
    throw asNameTaken(fault)
  }
}

/** Has a living tenant's document published again, though nothing that callers see of it has changed. */
export async function touchTenant(change: Change, tenantId: string): Promise<void> {
  const touched = await change.tx.query<{ name: string; version: number }>(
    `update control.tenants set version = nextval('control.directory_version')
     where tenant_id = $1 and status not in ('deleting', 'deleted', 'failed') returning name, version`,
    [tenantId],
  )
  for (const { name, version } of touched.rows) await markTouched(change, 'tenant', name, version)
}

/** What lists can be ordered by. Ties are broken by the order of creation, so that pages never overlap. */
const SORTS = {
  created_at: { expression: 'tenant.position', type: 'bigint' },
  name: { expression: 'tenant.name collate "C"', type: 'text' },
  plan: { expression: 'tenant.plan', type: 'text' },
  status: { expression: 'tenant.status', type: 'text' },
  isolation: { expression: 'tenant.isolation', type: 'text' },
  storage: { expression: '(tenant.documents_bytes + tenant.files_bytes)', type: 'bigint' },
  api_requests: { expression: 'coalesce(counted.requests, 0)', type: 'bigint' },
} as const
export type TenantSort = keyof typeof SORTS
export const TENANT_SORTS = Object.keys(SORTS) as [TenantSort, ...TenantSort[]]

/** True for what reads best from the largest on: numbers and times. */
export function isCounted(sort: TenantSort): boolean {
  return SORTS[sort].type === 'bigint'
}

export type TenantFilter = {
  name?: string | undefined
  plan?: string | undefined
  status?: TenantStatus | undefined
  isolation?: Isolation | undefined
}
export type TenantPage = {
  sort: TenantSort
  order: 'asc' | 'desc'
  /** The page starts behind the tenant with this value of `sort` at this position. */
  after?: { value: string; position: number } | undefined
  limit: number
  /** The month (`YYYY-MM`) whose requests are told. */
  month: string
}
/** A tenant in a list: with its requests of the month, and where it stands in the order. */
export type ListedTenantRow = TenantRow & { api_requests: number; sort_value: string }

/** A page of tenants. Deleted ones are listed only when `status` asks for them; purged ones never. */
export async function listTenants(db: Queryable, filter: TenantFilter, page: TenantPage): Promise<ListedTenantRow[]> {
  const { conditions, values } = whereOf(filter)
  const { expression, type } = SORTS[page.sort]
  const add = (value: unknown) => `$${values.push(value)}`
  const month = add(page.month)
  if (page.after !== undefined) {
    const bound = `(${add(page.after.value)}::${type}, ${add(page.after.position)}::bigint)`
    conditions.push(`(${expression}, tenant.position) ${page.order === 'asc' ? '>' : '<'} ${bound}`)
  }
  const result = await db.query<ListedTenantRow>(
    `select tenant.*, coalesce(counted.requests, 0) as api_requests, (${expression})::text as sort_value
     from control.tenants tenant left join control.tenant_requests counted
       on counted.tenant_id = tenant.tenant_id and counted.month = ${month}
     where ${conditions.join(' and ')}
     order by ${expression} ${page.order}, tenant.position ${page.order} limit ${add(page.limit)}`,
    values,
  )
  return result.rows
}

export async function countTenants(db: Queryable, filter: TenantFilter): Promise<number> {
  const { conditions, values } = whereOf(filter)
  const result = await db.query<{ count: number }>(
    `select count(*)::int as count from control.tenants tenant where ${conditions.join(' and ')}`,
    values,
  )
  return result.rows[0]?.count ?? 0
}

/** True while a living tenant has the name. */
export async function isNameTaken(db: Queryable, name: string): Promise<boolean> {
  const result = await db.query(
    `select from control.tenants where name = $1 and status not in ('deleting', 'deleted', 'failed')`,
    [name],
  )
  return result.rowCount !== 0
}

function whereOf(filter: TenantFilter): { conditions: string[]; values: unknown[] } {
  const conditions = ['tenant.purged_at is null']
  const values: unknown[] = []
  const add = (condition: string, value: unknown) => conditions.push(condition.replace('?', `$${values.push(value)}`))
  if (filter.name !== undefined) add('strpos(tenant.name, ?) > 0', filter.name.toLowerCase())
  if (filter.plan !== undefined) add('tenant.plan = ?', filter.plan)
  if (filter.isolation !== undefined) add('tenant.isolation = ?', filter.isolation)
  if (filter.status !== undefined) add('tenant.status = ?', filter.status)
  else conditions.push(`tenant.status <> 'deleted'`)
  return { conditions, values }
}

function asNameTaken(fault: unknown): unknown {
  if (fault instanceof pg.DatabaseError && fault.constraint === 'tenants_living_name')
    return new Problem(409, 'name_taken', { detail: 'Another tenant has this name.' })
  return fault
}
