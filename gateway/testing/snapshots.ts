import { randomUUID } from 'node:crypto'
import { makeId } from '../../runtime/ids.ts'
import { Sealer } from '../../runtime/seal.ts'
import { digestKey, makeKey } from '../../tenancy/key.ts'
import type { Quotas } from '../../tenancy/plan.ts'
import type { TenantSnapshot } from '../../tenancy/snapshot.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'

/** Secrets of the test run. */
export const INTERNAL_SECRET = 'internal-secret-of-the-tests-0123456789'
export const ENCRYPTION_KEY = 'encryption-key-of-the-tests-0123456789'
export const sealer = new Sealer([ENCRYPTION_KEY])

export const UNLIMITED: Quotas = {
  storage_bytes: null,
  api_requests_per_month: null,
  file_storage_bytes: null,
  realtime_connections: null,
  requests_per_second: null,
}

export type TestTenant = { snapshot: TenantSnapshot; anonKey: string; serviceKey: string; jwtSecret: string }

/** A tenant as control would publish it, with its keys in the clear. */
export function makeTenant(name: string, changes: Partial<TenantSnapshot> = {}): TestTenant {
  const tenantId = makeId('ten')
  const anonKey = makeKey('anon')
  const serviceKey = makeKey('service')
  const jwtSecret = `jwt-secret-${randomUUID()}`
  const schema = tenantSchemaName(tenantId)
  return {
    anonKey,
    serviceKey,
    jwtSecret,
    snapshot: {
      tenant_id: tenantId,
      name,
      version: 1,
      status: 'active',
      plan: 'free',
      isolation: 'schema',
      quotas: UNLIMITED,
      storage_exceeded: false,
      file_storage_exceeded: false,
      keys: [
        { id: makeId('key'), kind: 'anon', digest: digestKey(anonKey), expires_at: null },
        { id: makeId('key'), kind: 'service', digest: digestKey(serviceKey), expires_at: null },
      ],
      jwt: {
        sealed_secret: sealer.seal(jwtSecret, `jwt:${tenantId}`),
        jwks_url: null,
        issuer: null,
        audience: null,
      },
      placement: { server: 'shared-0', schema, role: schema },
      backend: { kind: 'shared', name: 'shared', urls: [], pipelining: 1 },
      ...changes,
    },
  }
}
