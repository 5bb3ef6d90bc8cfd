import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { inTransaction } from '../../../runtime/postgres-pool.ts'
import { makeChange } from '../../stores/change.ts'
import { type ClusterNodeRow, type NodeRole, setNodeRole } from '../../stores/cluster-store.ts'
import { runningPort } from '../own-server/own-server.ts'
import { copyRunningServer } from './base-copy.ts'
import {
  connectNode,
  followingOf,
  isStandby,
  makeStandby,
  REPLICA_LOGIN,
  repoint,
  startNode,
  withNode,
} from './cluster-node.ts'
import {
  type ClusterParts,
  type ClusterState,
  followerName,
  nodeName,
  readCluster,
  withClusterLock,
} from './cluster-parts.ts'
import { isPrimary } from './fail-over.ts'
import { fenceServer } from './fence.ts'
import { ensureSlot, quorumOf, readQuorum, renewSlot, setQuorum } from './quorum.ts'

/** A copy that has begun to follow may take so long to come near: it receives all that was written meanwhile. */
const CATCH_UP_MS = 600_000

/** The followers that a primary has, by name, and whether they receive what is written now. */
export async function readFollowers(primary: pg.Client): Promise<Map<string, boolean>> {
  const result = await primary.query<{ name: string; is_streaming: boolean }>(
    `select application_name as name, state = 'streaming' as is_streaming from pg_stat_replication where usename = $1`,
    [REPLICA_LOGIN],
  )
  return new Map(result.rows.map(({ name, is_streaming }) => [name, is_streaming]))
}

/** True when every member follows and the quorum is what it is to be. */
export async function isInOrder(primary: pg.Client, members: readonly ClusterNodeRow[]): Promise<boolean> {
  const followers = await readFollowers(primary)
  return (
    members.every((member) => followers.has(followerName(member))) && (await readQuorum(primary)) === quorumOf(members)
  )
}

/**
 * Brings members that do not follow to do so, and the quorum into order. Called under the cluster's lock.
 * @param isLost a member that had its time: it no longer counts and is made anew.
 */
export async function tendMembers(
  parts: ClusterParts,
  state: ClusterState,
  isLost: (member: ClusterNodeRow) => boolean,
): Promise<void> {
  const primaryPort = await runningPort(parts.directories.path(nodeName(state.primary)))
  if (primaryPort === undefined) return
  await withNode(parts, state.primary, async (primary) => {
    if (!(await isPrimary(primary))) return
    const followers = await readFollowers(primary)
    const lost = state.members.filter((member) => !followers.has(followerName(member)) && isLost(member))
    const members = state.members.filter((member) => !lost.includes(member))
    // The primary first: from then on no commit lies on a lost member alone.
    await setQuorum(primary, members)
    for (const member of lost) {
      parts.log.warn({ server: member.server, node: member.node }, 'a standby that cannot follow is made anew')
      await setRole(parts, member, 'rebuilding')
    }
    const away = members.filter((member) => !followers.has(followerName(member)))
    await Promise.all(
      away.map(async (member) => {
        await ensureSlot(primary, member)
        await letFollow(parts, state, member, primaryPort)
      }),
    )
  })
}

async function letFollow(
  parts: ClusterParts,
  state: ClusterState,
  member: ClusterNodeRow,
  primaryPort: number,
): Promise<void> {
  const directory = parts.directories.path(nodeName(member))
  const following = followingOf(parts, state, member, primaryPort)
  try {
    if ((await runningPort(directory)) === undefined) {
      // What was promoted and not told has another history than its primary: it is lost.
      if (!(await isStandby(parts, member))) return
      await makeStandby(directory, member, following)
      await startNode(parts, member, state.row.max_connections)
    } else await withNode(parts, member, (standby) => repoint(standby, following))
  } catch (fault) {
    parts.log.warn({ err: fault, server: member.server, node: member.node }, 'a standby cannot be brought to follow')
  }
}

/**
 * Makes a node anew from the primary while that serves, and takes it into the quorum once it is near. One process at a time
 * does it for each node; it is begun again by whoever comes next, and may be cut off anywhere, as the node counts for nothing
 * before the end.
 */
export function rebuildNode(parts: ClusterParts, server: string, node: number): Promise<void> {
  return parts.rebuilding.run(() => rebuildLocked(parts, server, node))
}

async function rebuildLocked(parts: ClusterParts, server: string, node: number): Promise<void> {
  await inTransaction(parts.pool, async (tx) => {
    await tx.query(`select pg_advisory_xact_lock(hashtextextended('control.cluster-rebuild:' || $1 || ':' || $2, 0))`, [
      server,
      String(node),
    ])
    const state = await readCluster(parts, server)
    const target = state.rebuilding.find((one) => one.node === node)
    // Somebody else was faster.
    if (target === undefined) return
    const primary = await connectNode(parts, state.primary)
    try {
      if (!(await isPrimary(primary))) throw new Error('The primary is none')
      await copyToNode(parts, state, target, primary)
      await waitUntilNear(primary, target)
      await joinQuorum(parts, state, target)
    } finally {
      await primary.end()
    }
  })
}

async function copyToNode(
  parts: ClusterParts,
  state: ClusterState,
  target: ClusterNodeRow,
  primary: pg.Client,
): Promise<void> {
  const { directories } = parts
  const from = directories.path(nodeName(state.primary))
  const primaryPort = await runningPort(from)
  if (primaryPort === undefined) throw new Error('The primary has ended')
  await fenceServer(directories.path(nodeName(target)))
  await renewSlot(primary, target)
  const following = followingOf(parts, state, target, primaryPort)
  await directories.replace(nodeName(target), target.os_uid ?? undefined, async (path) => {
    await copyRunningServer(primary, from, path)
    await makeStandby(path, target, following)
  })
  await startNode(parts, target, state.row.max_connections)
}

async function waitUntilNear(primary: pg.Client, target: ClusterNodeRow): Promise<void> {
  for (const deadline = performance.now() + CATCH_UP_MS; ; await sleep(20)) {
    if ((await readFollowers(primary)).get(followerName(target)) === true) return
    if (performance.now() > deadline) throw new Error(`The node ${nodeName(target)} does not come near`)
  }
}

/** From here on commits may be acknowledged that lie on this member alone: so the tables know of it before the primary does. */
async function joinQuorum(parts: ClusterParts, state: ClusterState, target: ClusterNodeRow): Promise<void> {
  const { server } = state.row
  await withClusterLock(parts, server, async () => {
    const now = await readCluster(parts, server)
    if (now.primary.node !== state.primary.node) throw new Error('The primary has changed meanwhile')
    await setRole(parts, target, 'standby')
    await withNode(parts, now.primary, (primary) => setQuorum(primary, [...now.members, target].toSorted(byNode)))
  })
}

async function setRole(parts: ClusterParts, { server, node }: ClusterNodeRow, role: NodeRole): Promise<void> {
  await makeChange(parts.pool, parts.publish, (change) => setNodeRole(change, server, node, role))
}

function byNode(a: ClusterNodeRow, b: ClusterNodeRow): number {
  return a.node - b.node
}
