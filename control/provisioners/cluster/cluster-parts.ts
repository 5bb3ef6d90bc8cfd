import type { Logger } from '../../../runtime/log.ts'
import type { PostgresBinaries } from '../../../runtime/postgres-binaries.ts'
import { inTransaction, type PostgresPool } from '../../../runtime/postgres-pool.ts'
import type { Sealer } from '../../../runtime/seal.ts'
import type { Slots } from '../../slots.ts'
import type { PublishTouched } from '../../stores/change.ts'
import { type ClusterNodeRow, type ClusterRow, findCluster, listNodes } from '../../stores/cluster-store.ts'
import type { DataDirectories } from '../own-server/data-directory.ts'
import type { ReadMemory } from '../server-memory.ts'

/** What everything that is done to a cluster works with. */
export type ClusterParts = {
  pool: PostgresPool
  publish: PublishTouched
  sealer: Sealer
  directories: DataDirectories
  binaries: PostgresBinaries
  log: Logger
  readMemory: ReadMemory
  /** Clusters changed at once, and nodes made anew: each holds a connection to the metadata and may ask for another. */
  changing: Slots
  rebuilding: Slots
}

/** A cluster as the tables know it. */
export type ClusterState = {
  row: ClusterRow
  primary: ClusterNodeRow
  members: ClusterNodeRow[]
  rebuilding: ClusterNodeRow[]
}

/** The name of a tenant's cluster among the servers. */
export function clusterName(tenantId: string): string {
  return tenantId.replace(/^ten_/, 'clu_')
}

/** The tenant that a cluster is there for. */
export function tenantOfCluster(server: string): string {
  return server.replace(/^clu_/, 'ten_')
}

/** The name of a node's data directory. */
export function nodeName({ server, node }: Pick<ClusterNodeRow, 'server' | 'node'>): string {
  return `${server}-${node}`
}

/** What a node is called by the primary that it follows, and its slot there. */
export function followerName({ node }: Pick<ClusterNodeRow, 'node'>): string {
  return `node_${node}`
}

/** @throws when there is no such cluster. */
export async function readCluster(parts: ClusterParts, server: string): Promise<ClusterState> {
  const [row, nodes] = await Promise.all([findCluster(parts.pool, server), listNodes(parts.pool, server)])
  const primary = nodes.find(({ role }) => role === 'primary')
  if (row === undefined || primary === undefined) throw new Error(`There is no cluster ${server}`)
  return {
    row,
    primary,
    members: nodes.filter(({ role }) => role === 'standby'),
    rebuilding: nodes.filter(({ role }) => role === 'rebuilding'),
  }
}

/**
 * Runs `work` while no other control process changes the cluster. What is read inside is what holds.
 */
export async function withClusterLock<Result>(
  { pool, changing }: ClusterParts,
  server: string,
  work: () => Promise<Result>,
): Promise<Result> {
  return changing.run(() =>
    inTransaction(pool, async (tx) => {
      await tx.query(`select pg_advisory_xact_lock(hashtextextended('control.cluster:' || $1, 0))`, [server])
      return work()
    }),
  )
}
