import type pg from 'pg'

/** What control makes on each server: tables are put into it when somebody first subscribes to them. */
export const PUBLICATION = 'aerodb_realtime'
/** Which of this project's advisory locks this is; the lock belongs to the database that it is taken in. */
const LOCK = [0x6165_726f, 0x7274] as const

/** Tries to become the one process that reads this database's changes. The lock ends with the session. */
export async function tryLead(client: pg.Client): Promise<boolean> {
  const result = await client.query<{ leads: boolean }>('select pg_try_advisory_lock($1, $2) as leads', [...LOCK])
  return result.rows[0]?.leads === true
}

/** The slot's name: slots belong to the whole server, and two databases of one server have two. */
export async function slotName(client: pg.Client): Promise<string> {
  const result = await client.query<{ name: string }>(
    `select 'aerodb_realtime_' || oid as name from pg_database where datname = current_database()`,
  )
  const name = result.rows[0]?.name
  if (name === undefined) throw new Error('unreachable')
  return name
}

/** True while some process reads the slot. */
export async function isSlotActive(client: pg.Client, slot: string): Promise<boolean> {
  const result = await client.query('select from pg_replication_slots where slot_name = $1 and active', [slot])
  return result.rowCount === 1
}

/**
 * Makes sure that there is a slot that can be read; to be called by the leader only. A reader that the leader's lock has
 * outlived (its network went away) is ended.
 * @returns `kept` when the slot goes on where the last reader stopped; `made` when it is new; `remade` when there was one, but
 * the server has dropped what it still had to tell (`max_slot_wal_keep_size`).
 */
export async function ensureSlot(client: pg.Client, slot: string): Promise<'kept' | 'made' | 'remade'> {
  const result = await client.query<{ active_pid: number | null; lost: boolean }>(
    `select active_pid, coalesce(wal_status = 'lost' or invalidation_reason is not null, false) as lost
     from pg_replication_slots where slot_name = $1`,
    [slot],
  )
  const [found] = result.rows
  if (found !== undefined && found.active_pid !== null)
    await client.query('select pg_terminate_backend($1, 5000)', [found.active_pid])
  if (found !== undefined && !found.lost) return 'kept'
  if (found !== undefined) await client.query('select pg_drop_replication_slot($1)', [slot])
  await client.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot])
  return found === undefined ? 'made' : 'remade'
}

/** Lets the server forget everything that it keeps for us: nobody subscribes any more. */
export async function dropSlot(client: pg.Client, slot: string): Promise<void> {
  await client.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1', [
    slot,
  ])
}

/** Names of Postgres's own types; those of others come in the stream. */
export async function loadTypeNames(client: pg.Client): Promise<Map<number, string>> {
  const result = await client.query<{ oid: number; typname: string }>(
    'select oid::int, typname from pg_type where oid < 16384',
  )
  return new Map(result.rows.map(({ oid, typname }) => [oid, typname]))
}
