import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { ClusterNodeRow } from '../../stores/cluster-store.ts'
import { followerName } from './cluster-parts.ts'

const TAKEN_WITHIN_MS = 2_000

/**
 * Any one of the members has to have a commit on its disk before it is acknowledged. With no member the primary acknowledges
 * alone: nobody could be elected then anyway, and it comes back with what it has.
 */
export function quorumOf(members: readonly Pick<ClusterNodeRow, 'node'>[]): string {
  return members.length === 0 ? '' : `ANY 1 (${members.map(followerName).join(', ')})`
}

/** Sets the quorum of a node and waits until it is in force; on a standby, for the moment of its promotion. */
export async function setQuorum(client: pg.Client, members: readonly Pick<ClusterNodeRow, 'node'>[]): Promise<void> {
  const wanted = quorumOf(members)
  if ((await readQuorum(client)) === wanted) return
  await client.query(`alter system set synchronous_standby_names = '${wanted}'`)
  await client.query('select pg_reload_conf()')
  for (const deadline = performance.now() + TAKEN_WITHIN_MS; (await readQuorum(client)) !== wanted; await sleep(5))
    if (performance.now() > deadline) throw new Error('The quorum was not taken')
}

export async function readQuorum(client: pg.Client): Promise<string | undefined> {
  const result = await client.query<{ synchronous_standby_names: string }>('show synchronous_standby_names')
  return result.rows[0]?.synchronous_standby_names
}

/** Sees to it that a primary keeps the log that a follower has not received yet (bounded by `max_slot_wal_keep_size`). */
export async function ensureSlot(client: pg.Client, follower: Pick<ClusterNodeRow, 'node'>): Promise<void> {
  await client.query(
    `select pg_create_physical_replication_slot($1, true)
     where not exists (select from pg_replication_slots where slot_name = $1)`,
    [followerName(follower)],
  )
}

/** A slot that keeps the log from this moment on, in place of any other. */
export async function renewSlot(client: pg.Client, follower: Pick<ClusterNodeRow, 'node'>): Promise<void> {
  const name = followerName(follower)
  for (const deadline = performance.now() + TAKEN_WITHIN_MS; ; await sleep(10)) {
    const slot = await client.query<{ active_pid: number | null }>(
      'select active_pid from pg_replication_slots where slot_name = $1',
      [name],
    )
    const [row] = slot.rows
    if (row === undefined) break
    if (row.active_pid === null) await client.query('select pg_drop_replication_slot($1)', [name])
    else await client.query('select pg_terminate_backend($1)', [row.active_pid])
    if (performance.now() > deadline) throw new Error(`The slot ${name} is held`)
  }
  await ensureSlot(client, follower)
}
