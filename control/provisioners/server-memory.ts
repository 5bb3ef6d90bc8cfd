import type { Isolation, PlanCatalogue } from '../../tenancy/plan.ts'
import type { Queryable } from '../stores/change.ts'

const MB = 1_048_576
/** Of a plan that says nothing: an idle server stays small. */
export const DEFAULT_SERVER_BYTES = 32 * MB

/** Settings by which a server is started. */
export type ServerSettings = Readonly<Record<string, string>>

/** Reads how a tenant's own server is to be set: by what its plan grants it of memory. */
export type ReadMemory = (tenantId: string) => Promise<ServerSettings>

/** A change of plan counts from the next start of the server. */
export function makeReadMemory(db: Queryable, catalogue: PlanCatalogue, isolation: Isolation): ReadMemory {
  return async (tenantId) => {
    const found = await db.query<{ plan: string }>('select plan from control.tenants where tenant_id = $1', [tenantId])
    const plan = catalogue.find(found.rows[0]?.plan ?? '')
    return memorySettings(plan?.server_memory_bytes?.[isolation] ?? DEFAULT_SERVER_BYTES)
  }
}

/** A quarter of the memory for Postgres's own cache and a share for maintenance; what one sort may use is bounded for requests everywhere (`server-setup.ts`). Pure. */
export function memorySettings(bytes: number): ServerSettings {
  const share = (part: number, atLeastMb: number) => `${Math.max(atLeastMb, Math.floor(bytes / part / MB))}MB`
  return {
    shared_buffers: share(4, 8),
    maintenance_work_mem: share(8, 8),
    effective_cache_size: share(1, 8),
  }
}
