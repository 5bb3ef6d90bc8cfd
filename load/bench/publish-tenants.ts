import { makeId } from '../../runtime/ids.ts'
import { makeLogger } from '../../runtime/log.ts'
import { connectRedis, whenRedisReady } from '../../runtime/redis.ts'
import { DirectoryPublisher } from '../../tenancy/directory-publisher.ts'
import { digestKey } from '../../tenancy/key.ts'
import type { BackendRef, TenantSnapshot } from '../../tenancy/snapshot.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import type { LoadTenant } from './request-mix.ts'

const PUBLISHED_AT_ONCE = 200
let version = 0

/**
 * Publishes tenants as control would. Each limit is a number far above what is sent, none is unlimited: so the gateway has to
 * lease and count for every request, and refuses none.
 */
export async function publishTenants(
  redisUrl: string,
  tenants: readonly LoadTenant[],
  backend: BackendRef,
): Promise<void> {
  const redis = connectRedis({
    urls: [redisUrl],
    connectionName: 'bench-publisher',
    log: makeLogger('bench', 'silent'),
    whenAway: 'wait',
  })
  try {
    await whenRedisReady(redis, 5_000)
    const publisher = new DirectoryPublisher(redis)
    for (let from = 0; from < tenants.length; from += PUBLISHED_AT_ONCE) {
      await Promise.all(
        tenants.slice(from, from + PUBLISHED_AT_ONCE).map((tenant) => {
          const snapshot = makeSnapshot(tenant, backend)
          return publisher.publish('tenant', tenant.name, snapshot.version, JSON.stringify(snapshot))
        }),
      )
    }
    await publisher.markComplete()
  } finally {
    redis.disconnect()
  }
}

function makeSnapshot({ name, key }: LoadTenant, backend: BackendRef): TenantSnapshot {
  const tenantId = makeId('ten')
  const schema = tenantSchemaName(tenantId)
  return {
    tenant_id: tenantId,
    name,
    version: ++version,
    status: 'active',
    plan: 'enterprise',
    isolation: 'schema',
    quotas: {
      storage_bytes: 1e15,
      api_requests_per_month: 1e12,
      file_storage_bytes: 1e15,
      realtime_connections: 1e6,
      requests_per_second: 1e6,
    },
    storage_exceeded: false,
    file_storage_exceeded: false,
    keys: [{ id: makeId('key'), kind: 'anon', digest: digestKey(key), expires_at: null }],
    jwt: { sealed_secret: null, jwks_url: null, issuer: null, audience: null },
    placement: { server: 'shared-0', schema, role: schema },
    backend,
  }
}
