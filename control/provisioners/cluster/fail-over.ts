import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { makeChange } from '../../stores/change.ts'
import { type ClusterNodeRow, changePrimary } from '../../stores/cluster-store.ts'
import { moveServer } from '../../stores/server-store.ts'
import { runningPort } from '../own-server/own-server.ts'
import { connectNode, followingOf, repoint, startNode, startPrimary, withNode } from './cluster-node.ts'
import { type ClusterParts, type ClusterState, followerName, nodeName } from './cluster-parts.ts'
import { type Candidate, elect, parseLsn } from './elect.ts'
import { fenceServer } from './fence.ts'
import { ensureSlot, setQuorum } from './quorum.ts'

const RECEIVERS_END_MS = 2_000
const STEADY_MS = 100
const PROMOTE_SECONDS = 20

/**
 * Gives a cluster whose primary is gone another one. Called under the cluster's lock; side effects in order, and what a crash
 * between them means:
 *
 * 1. the old primary is fenced: whoever comes next begins here again. 2. the members are asked what they have. 3. the one that
 * has most gets its quorum and is promoted: nobody knows of it yet, and who comes next finds it promoted and elects it.
 * 4. one commit says that it is the primary, and that the old one has to be made anew. 5. the others follow it: else the
 * keeper lets them.
 *
 * Where nobody can be elected without loss (a member that cannot be asked may have the last commits alone) the old primary is
 * started again: it has them all.
 */
export async function failOver(parts: ClusterParts, state: ClusterState): Promise<void> {
  const { row, primary, members } = state
  await fenceServer(parts.directories.path(nodeName(primary)))
  const candidates = await Promise.all(members.map((member) => askCandidate(parts, state, member)))
  const elected = members.find(({ node }) => node === elect(candidates))
  const told = { server: row.server, candidates: candidates.map(tellCandidate) }
  if (elected === undefined) {
    parts.log.warn(told, 'no standby can take over without loss: the primary is started again')
    await startPrimary(parts, state)
    return
  }
  parts.log.warn({ ...told, from: primary.node, to: elected.node }, 'a standby takes over')
  const rest = members.filter((member) => member !== elected)
  const client = await connectNode(parts, elected)
  try {
    await promote(client, rest)
  } finally {
    await client.end()
  }
  const port = await portOf(parts, elected)
  await makeChange(parts.pool, parts.publish, async (change) => {
    await changePrimary(change, row.server, elected.node)
    await moveServer(change, row.server, '127.0.0.1', port)
  })
  await Promise.all(
    rest.map((member) =>
      withNode(parts, member, (standby) => repoint(standby, followingOf(parts, state, member, port))).catch((fault) =>
        parts.log.warn({ err: fault, server: row.server, node: member.node }, 'a standby does not follow yet'),
      ),
    ),
  )
}

/** Gives the standby the quorum and the slots of a primary, and then makes it one, unless it is one already. */
async function promote(client: pg.Client, rest: readonly ClusterNodeRow[]): Promise<void> {
  await setQuorum(client, rest)
  for (const follower of rest) await ensureSlot(client, follower)
  if ((await isPrimary(client)) === false) {
    const done = await client.query<{ done: boolean }>('select pg_promote(true, $1) as done', [PROMOTE_SECONDS])
    if (done.rows[0]?.done !== true) throw new Error('The standby was not promoted in time')
  }
}

export async function isPrimary(client: pg.Client): Promise<boolean> {
  const result = await client.query<{ primary: boolean }>('select not pg_is_in_recovery() as primary')
  return result.rows[0]?.primary === true
}

/** What a member has; started if it does not run. */
async function askCandidate(parts: ClusterParts, state: ClusterState, member: ClusterNodeRow): Promise<Candidate> {
  try {
    const wasRunning = (await runningPort(parts.directories.path(nodeName(member)))) !== undefined
    await startNode(parts, member, state.row.max_connections)
    return await withNode(parts, member, async (client) => ({
      node: member.node,
      isPromoted: await isPrimary(client),
      receivedLsn: await readReceived(client, wasRunning),
    }))
  } catch (fault) {
    parts.log.warn({ err: fault, server: member.server, node: member.node }, 'a standby cannot be asked what it has')
    return { node: member.node, isPromoted: false, receivedLsn: undefined }
  }
}

/** The end of the member's log, when it receives no more and, freshly started, has read what it has. */
async function readReceived(client: pg.Client, wasRunning: boolean): Promise<bigint> {
  const deadline = performance.now() + RECEIVERS_END_MS
  for (let last: bigint | undefined; ; ) {
    const result = await client.query<{ lsn: string | null; is_receiving: boolean }>(
      `select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text as lsn,
         exists (select from pg_stat_wal_receiver where status = 'streaming') as is_receiving`,
    )
    const [{ lsn, is_receiving } = { lsn: null, is_receiving: false }] = result.rows
    const now = lsn === null ? 0n : parseLsn(lsn)
    const isSteady = wasRunning || now === last
    if (!is_receiving && isSteady) return now
    if (performance.now() > deadline && is_receiving) throw new Error('The standby still receives')
    last = now
    await sleep(wasRunning ? 5 : STEADY_MS)
  }
}

async function portOf(parts: ClusterParts, node: ClusterNodeRow): Promise<number> {
  const port = await runningPort(parts.directories.path(nodeName(node)))
  if (port === undefined) throw new Error(`The node ${nodeName(node)} has ended`)
  return port
}

function tellCandidate({ node, isPromoted, receivedLsn }: Candidate): string {
  return `${followerName({ node })}: ${isPromoted ? 'promoted' : (receivedLsn?.toString(16) ?? 'unknown')}`
}
