import type { Change, Queryable } from './change.ts'
import { markTouched } from './outbox-store.ts'
import type { ServerRow } from './server-store.ts'
import type { TenantRow } from './tenant-store.ts'

/** A tenant's server on Kubernetes; `sealed_replica_password` is the administrator's, `node` the namespace. */
export type KubernetesServerRow = ServerRow & { sealed_replica_password: string; replica_host: string | null }

/** Registers a tenant's server on Kubernetes. */
export async function insertKubernetesServer(
  change: Change,
  server: Pick<
    KubernetesServerRow,
    | 'server'
    | 'host'
    | 'port'
    | 'database'
    | 'replica_host'
    | 'max_connections'
    | 'sealed_request_password'
    | 'sealed_ddl_password'
    | 'sealed_replica_password'
    | 'node'
  >,
): Promise<void> {
  const result = await change.tx.query<ServerRow>(
    `insert into control.servers (server, kind, identity, host, port, database, replica_host, sealed_request_password,
       sealed_ddl_password, sealed_replica_password, capacity, tenant_count, max_connections, node)
     values ($1, 'kubernetes', 'kubernetes/' || $1, $2, $3, $4, $5, $6, $7, $8, 1, 1, $9, $10)
     returning *`,
    [
      server.server,
      server.host,
      server.port,
      server.database,
      server.replica_host,
      server.sealed_request_password,
      server.sealed_ddl_password,
      server.sealed_replica_password,
      server.max_connections,
      server.node,
    ],
  )
  const row = result.rows[0]
  if (row === undefined) throw new Error('unreachable')
  await markTouched(change, 'server', row.server, row.version)
}

export async function findKubernetesServer(db: Queryable, server: string): Promise<KubernetesServerRow | undefined> {
  const result = await db.query<KubernetesServerRow>(
    `select * from control.servers where server = $1 and kind = 'kubernetes'`,
    [server],
  )
  return result.rows[0]
}

/** Forgets a tenant's server on Kubernetes. */
export async function deleteKubernetesServer(change: Change, server: string): Promise<void> {
  await change.tx.query(`delete from control.servers where server = $1 and kind = 'kubernetes'`, [server])
  await markTouched(change, 'server', server, 0)
}

/** Tenants that are served from Kubernetes. */
export async function listKubernetesTenants(
  db: Queryable,
): Promise<Pick<TenantRow, 'tenant_id' | 'plan' | 'quotas' | 'isolation'>[]> {
  const result = await db.query<Pick<TenantRow, 'tenant_id' | 'plan' | 'quotas' | 'isolation'>>(
    `select tenant_id, plan, quotas, isolation from control.tenants join control.servers using (server)
     where kind = 'kubernetes' and status in ('active', 'suspended') order by tenant_id`,
  )
  return result.rows
}

/** How many tenants have servers of their own of these kinds. */
export async function countOwnServers(db: Queryable, kinds: readonly string[]): Promise<number> {
  const result = await db.query<{ count: number }>(
    'select count(*)::int as count from control.servers where kind = any($1)',
    [kinds],
  )
  return result.rows[0]?.count ?? 0
}

/** Has the tenant's running operation end no sooner than `seconds` after its begin: what it does takes longer here. */
export async function allowLonger(db: Queryable, tenantId: string, seconds: number): Promise<void> {
  await db.query(
    `update control.operations set deadline_at = greatest(deadline_at, created_at + make_interval(secs => $2))
     where tenant_id = $1 and status = 'running'`,
    [tenantId, seconds],
  )
}
