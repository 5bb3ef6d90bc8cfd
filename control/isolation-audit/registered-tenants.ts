import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import type { ServerAudit } from './audit-server.ts'
import type { Finding, Observation } from './finding.ts'

/** The tenants as control's tables know them, by schema name. */
export type TenantRegister = ReadonlyMap<
  string,
  { tenantId: string; name: string; server: string | null; isSettled: boolean; isPurged: boolean }
>

/** A change under way is not drift: what changed in the last minutes is not compared. */
const SETTLED_AFTER = `interval '2 minutes'`

/** Reads the tenants' table; `undefined` where there is none (yet). */
export async function readTenantRegister(metadata: PostgresPool): Promise<TenantRegister | undefined> {
  const present = await metadata.query<{ present: boolean }>(
    `select to_regclass('control.tenants') is not null as present`,
  )
  if (present.rows[0]?.present !== true) return undefined
  const result = await metadata.query<{
    tenant_id: string
    name: string
    server: string | null
    is_settled: boolean
    is_purged: boolean
  }>(
    `select tenant_id, name, server, status in ('active', 'suspended') and isolation = 'schema'
         and updated_at < now() - ${SETTLED_AFTER} as is_settled,
       coalesce(purged_at < now() - ${SETTLED_AFTER}, false) as is_purged
     from control.tenants`,
  )
  return new Map(
    result.rows.map((row) => [
      tenantSchemaName(row.tenant_id),
      {
        tenantId: row.tenant_id,
        name: row.name,
        server: row.server,
        isSettled: row.is_settled,
        isPurged: row.is_purged,
      },
    ]),
  )
}

/** The tenant of a schema, named where the register knows it. */
export function tenantOfSchema(schema: string, register: TenantRegister | undefined): Finding['tenant'] {
  const known = register?.get(schema)
  return { tenant_id: known?.tenantId ?? `ten_${schema.slice(2)}`, name: known?.name ?? null }
}

/** What is on a server and should not be, or should be and is not. Read the register after the server: a schema comes after its row. */
export function compareWithRegister(audit: ServerAudit, register: TenantRegister): Observation[] {
  const observations: Observation[] = []
  for (const schema of audit.schemas) {
    const tenant = register.get(schema)
    const what = tenant === undefined ? 'no tenant has it' : tenant.isPurged ? 'its tenant was purged' : undefined
    if (what !== undefined)
      observations.push({ code: 'schema_without_tenant', schema, object: `schema ${schema}`, what })
  }
  for (const [schema, tenant] of register) {
    if (tenant.server === audit.server && tenant.isSettled && !audit.schemas.has(schema))
      observations.push({
        code: 'tenant_without_schema',
        schema,
        object: `schema ${schema}`,
        what: 'it does not exist',
      })
  }
  return observations
}
