import type { Change, Queryable } from './change.ts'
import { markTouched } from './outbox-store.ts'
import { type ServerRow, touchServer } from './server-store.ts'

/**
 * What a node is to be. A `standby` counts for the primary's quorum: a commit that was acknowledged may lie on it alone. What a
 * node that is `rebuilding` holds counts for nothing and is made anew.
 */
export type NodeRole = 'primary' | 'standby' | 'rebuilding'

export type ClusterNodeRow = { server: string; node: number; role: NodeRole; port: number; os_uid: number | null }

/** A cluster's row among the servers. */
export type ClusterRow = ServerRow & { sealed_replica_password: string }

/** Registers a cluster with a node for each port, the first of them its primary, each with a user id that nobody had before. */
export async function insertCluster(
  change: Change,
  cluster: Pick<
    ClusterRow,
    | 'server'
    | 'max_connections'
    | 'sealed_request_password'
    | 'sealed_ddl_password'
    | 'sealed_replica_password'
    | 'node'
  > & {
    ports: readonly number[]
    withUsers: boolean
  },
): Promise<void> {
  const result = await change.tx.query<ServerRow>(
    `insert into control.servers (server, kind, identity, host, port, database, sealed_request_password,
       sealed_ddl_password, sealed_replica_password, capacity, tenant_count, max_connections, node)
     values ($1, 'cluster', 'cluster/' || $1, '127.0.0.1', $2, 'postgres', $3, $4, $5, 1, 1, $6, $7)
     returning *`,
    [
      cluster.server,
      cluster.ports[0],
      cluster.sealed_request_password,
      cluster.sealed_ddl_password,
      cluster.sealed_replica_password,
      cluster.max_connections,
      cluster.node,
    ],
  )
  await change.tx.query(
    `insert into control.cluster_nodes (server, node, role, port, os_uid)
     select $1, place, case place when 1 then 'primary' else 'rebuilding' end, port,
       case when $3 then nextval('control.os_uid') end
     from unnest($2::integer[]) with ordinality as n(port, place)`,
    [cluster.server, cluster.ports, cluster.withUsers],
  )
  const row = result.rows[0]
  if (row === undefined) throw new Error('unreachable')
  await markTouched(change, 'server', row.server, row.version)
}

export async function findCluster(db: Queryable, server: string): Promise<ClusterRow | undefined> {
  const result = await db.query<ClusterRow>(`select * from control.servers where server = $1 and kind = 'cluster'`, [
    server,
  ])
  return result.rows[0]
}

/** The nodes in the order of their numbers; none when the cluster is not there. */
export async function listNodes(db: Queryable, server: string): Promise<ClusterNodeRow[]> {
  const result = await db.query<ClusterNodeRow>('select * from control.cluster_nodes where server = $1 order by node', [
    server,
  ])
  return result.rows
}

/** Of a tenant that is served, or of one on its way. */
const IS_LIVING = `(
  exists (select from control.tenants t where t.server = s.server
    and t.status in ('provisioning', 'active', 'suspended', 'migrating'))
  or exists (select from control.moves m join control.operations o using (operation_id)
    where o.status = 'running' and s.server in (m.from_server, m.to_server)))`

/** The clusters of a machine that are to run. */
export async function listLivingClusters(db: Queryable, machine: string): Promise<string[]> {
  const result = await db.query<{ server: string }>(
    `select server from control.servers s where kind = 'cluster' and node = $1 and ${IS_LIVING}`,
    [machine],
  )
  return result.rows.map((row) => row.server)
}

/** True when the cluster is to run. */
export async function isLivingCluster(db: Queryable, server: string): Promise<boolean> {
  const result = await db.query(
    `select from control.servers s where server = $1 and kind = 'cluster' and ${IS_LIVING}`,
    [server],
  )
  return result.rowCount === 1
}

export async function setNodeRole(change: Change, server: string, node: number, role: NodeRole): Promise<void> {
  await change.tx.query('update control.cluster_nodes set role = $3 where server = $1 and node = $2', [
    server,
    node,
    role,
  ])
  await touchServer(change, server)
}

export async function setNodePort(change: Change, server: string, node: number, port: number): Promise<void> {
  await change.tx.query('update control.cluster_nodes set port = $3 where server = $1 and node = $2', [
    server,
    node,
    port,
  ])
  await touchServer(change, server)
}

/** Makes `node` the primary in place of the one that was, which has to be made anew. */
export async function changePrimary(change: Change, server: string, node: number): Promise<void> {
  await change.tx.query(
    `update control.cluster_nodes set role = 'rebuilding' where server = $1 and role = 'primary' and node <> $2`,
    [server, node],
  )
  await setNodeRole(change, server, node, 'primary')
}

/** Forgets a cluster and its nodes. */
export async function deleteCluster(change: Change, server: string): Promise<void> {
  await change.tx.query(`delete from control.servers where server = $1 and kind = 'cluster'`, [server])
  await markTouched(change, 'server', server, 0)
}
