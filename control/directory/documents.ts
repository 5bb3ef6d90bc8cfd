import { effectiveQuotas, type PlanCatalogue } from '../../tenancy/plan.ts'
import type { ServerRecord } from '../../tenancy/server-record.ts'
import type { BackendRef, TenantSnapshot } from '../../tenancy/snapshot.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import type { Queryable } from '../stores/change.ts'
import { IS_KEPT } from '../stores/dedicated-backend-store.ts'
import type { ServerRow } from '../stores/server-store.ts'
import type { TenantKeyRow } from '../stores/tenant-key-store.ts'
import type { TenantRow } from '../stores/tenant-store.ts'

type PublishableKey = Pick<TenantKeyRow, 'key_id' | 'kind' | 'digest' | 'rate_limit'> & { expires_at_ms: number | null }

/** A tenant with what its snapshot needs, read in one statement: no half of a change is ever published. */
export type Publishable = TenantRow & {
  keys: PublishableKey[] | null
  backend_url: string | null
  backend_pipelining: number | null
  /** Where the backends serve that a cluster tenant has for itself. */
  dedicated_urls: string[] | null
}

/** Of all tenants that ever had `name`: the living one, else the one that changed last. */
export async function findPublishable(db: Queryable, name: string): Promise<Publishable | undefined> {
  const result = await db.query<Publishable>(
    `select tenant.*, backend.url as backend_url, backend.pipelining as backend_pipelining,
       (select json_agg(json_build_object('key_id', key_id, 'kind', kind, 'digest', digest, 'rate_limit', rate_limit,
                'expires_at_ms', (extract(epoch from expires_at) * 1000)::bigint) order by key_id)
        from control.tenant_keys key
        where key.tenant_id = tenant.tenant_id and (expires_at is null or expires_at > now())) as keys,
       (select json_agg(dedicated.url order by dedicated.owner) from control.dedicated_backends dedicated
        where dedicated.server = tenant.server and ${IS_KEPT}) as dedicated_urls
     from control.tenants tenant left join control.backends backend on backend.name = tenant.backend
     where tenant.name = $1
     order by (tenant.status in ('deleting', 'deleted', 'failed')), tenant.version desc limit 1`,
    [name],
  )
  return result.rows[0]
}

/** The tenant as gateways and backends are to know it. */
export function buildSnapshot(row: Publishable, catalogue: PlanCatalogue): TenantSnapshot {
  const plan = catalogue.find(row.plan)
  if (plan === undefined) throw new Error(`The plan ${row.plan} of ${row.tenant_id} is not in the catalogue`)
  const schema = tenantSchemaName(row.tenant_id)
  return {
    tenant_id: row.tenant_id,
    name: row.name,
    version: row.version,
    status: row.status,
    plan: row.plan,
    isolation: row.isolation,
    quotas: effectiveQuotas(plan, row.quotas),
    storage_exceeded: row.storage_exceeded,
    file_storage_exceeded: row.file_storage_exceeded,
    keys: (row.keys ?? []).map((key) => ({
      id: key.key_id,
      kind: key.kind,
      digest: key.digest,
      expires_at: key.expires_at_ms,
      rate_limit: key.rate_limit,
    })),
    jwt: {
      sealed_secret: row.jwt_sealed_secret,
      jwks_url: row.jwt_jwks_url,
      issuer: row.jwt_issuer,
      audience: row.jwt_audience,
    },
    writes_held_until: row.writes_held_until?.getTime() ?? null,
    placement: row.server === null ? null : { server: row.server, schema, role: schema },
    backend: backendOf(row),
  }
}

function backendOf(row: Publishable): BackendRef {
  if (row.backend !== null && row.backend_url !== null)
    return { kind: 'registered', name: row.backend, urls: [row.backend_url], pipelining: row.backend_pipelining ?? 1 }
  if (row.dedicated_urls !== null)
    return { kind: 'dedicated', name: row.tenant_id, urls: row.dedicated_urls, pipelining: 1 }
  return { kind: 'shared', name: 'shared', urls: [], pipelining: 1 }
}

/** A server with the standbys that may be read from. */
export type PublishableServer = ServerRow & { replicas: ServerRecord['replicas'] | null }

export async function findPublishableServer(db: Queryable, server: string): Promise<PublishableServer | undefined> {
  const result = await db.query<PublishableServer>(
    `select servers.*, case when replica_host is not null
         then json_build_array(json_build_object('host', replica_host, 'port', servers.port))
         else (select json_agg(json_build_object('host', servers.host, 'port', node.port) order by node.node)
       from control.cluster_nodes node where node.server = servers.server and node.role = 'standby') end as replicas
     from control.servers where server = $1`,
    [server],
  )
  return result.rows[0]
}

/** The server as backends are to know it; the passwords stay sealed. */
export function buildServerRecord(row: PublishableServer): ServerRecord {
  return {
    server: row.server,
    version: row.version,
    host: row.host,
    port: row.port,
    database: row.database,
    request_login: { user: 'aerodb_request', sealed_password: row.sealed_request_password },
    ddl_login: { user: 'aerodb_ddl', sealed_password: row.sealed_ddl_password },
    replication_login: { user: 'aerodb_replication', sealed_password: row.sealed_ddl_password },
    max_connections: row.max_connections,
    replicas: row.replicas ?? [],
  }
}
