import type { Queryable } from '../../stores/change.ts'
import type { NodeRole } from '../../stores/cluster-store.ts'
import { runningPort } from '../own-server/own-server.ts'
import { REPLICA_LOGIN, withNode } from './cluster-node.ts'
import { type ClusterParts, followerName, nodeName, readCluster } from './cluster-parts.ts'

/** One node as operators see it. Lags are of what a standby has made visible to readers; `null` where nobody can tell. */
export type NodeStatus = {
  node: number
  role: NodeRole
  state: 'serving' | 'streaming' | 'catching_up' | 'down'
  /** The primary waits for this one, or for another like it, before it acknowledges a commit. */
  is_in_quorum: boolean
  lag_bytes: number | null
  lag_seconds: number | null
}

type Follower = { name: string; state: string; sync_state: string; lag_bytes: number; lag_seconds: number }

/** What each node is, does and lacks, as its primary sees it. */
export async function readClusterStatus(parts: ClusterParts, server: string): Promise<NodeStatus[]> {
  const { primary, members, rebuilding } = await readCluster(parts, server)
  const followers = await withNode(parts, primary, readLag, { queryTimeoutMs: 2_000 }).catch(() => undefined)
  return Promise.all(
    [primary, ...members, ...rebuilding]
      .toSorted((a, b) => a.node - b.node)
      .map(async (node): Promise<NodeStatus> => {
        if (node === primary)
          return {
            node: node.node,
            role: node.role,
            state: followers === undefined ? 'down' : 'serving',
            is_in_quorum: false,
            lag_bytes: 0,
            lag_seconds: 0,
          }
        const follower = followers?.find(({ name }) => name === followerName(node))
        const isRunning = (await runningPort(parts.directories.path(nodeName(node)))) !== undefined
        return {
          node: node.node,
          role: node.role,
          state: stateOf(follower, isRunning),
          is_in_quorum: follower?.sync_state === 'quorum' || follower?.sync_state === 'sync',
          lag_bytes: follower?.lag_bytes ?? null,
          lag_seconds: follower?.lag_seconds ?? null,
        }
      }),
  )
}

function stateOf(follower: Follower | undefined, isRunning: boolean): NodeStatus['state'] {
  if (follower === undefined) return isRunning ? 'catching_up' : 'down'
  return follower.state === 'streaming' ? 'streaming' : 'catching_up'
}

async function readLag(primary: Queryable): Promise<Follower[]> {
  const result = await primary.query<Follower>(
    `select application_name as name, state, sync_state,
       greatest(coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0), 0)::float8 as lag_bytes,
       coalesce(extract(epoch from replay_lag), 0)::float8 as lag_seconds
     from pg_stat_replication where usename = '${REPLICA_LOGIN}'`,
  )
  return result.rows
}
