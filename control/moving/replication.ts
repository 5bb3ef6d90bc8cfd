import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { Problem } from '../../runtime/problem.ts'
import { MOVER } from '../provisioners/server-setup.ts'
import type { Queryable } from '../stores/change.ts'

/** How a subscription finds the server that it follows. */
export type StreamAddress = { host: string; port: number; database: string; user: string; password: string }

const WAIT_MS = 20
/** Transactions that began before the freeze are waited for: those of requests end by their timeouts. */
const OLD_TRANSACTIONS_MS = 120_000
const SLOT_FREE_MS = 10_000

/** The name of a tenant's slot, publication and subscription. */
export function replicationName(tenantId: string): string {
  return `aerodb_move_${tenantId.slice('ten_'.length)}`
}

/**
 * Makes the tenant's schema on the source ready to be followed: no command changes it any more (`aerodb.on_ddl`), every table
 * says which row a change was made to, and a publication has them all.
 * @throws Problem 409 `source_not_logical` when the server does not write what a follower needs.
 */
export async function publishSchema(source: Queryable, schema: string, name: string): Promise<void> {
  const level = await source.query<{ wal_level: string }>(`select current_setting('wal_level') as wal_level`)
  if (level.rows[0]?.wal_level !== 'logical')
    throw new Problem(409, 'source_not_logical', {
      detail: 'Tenants cannot be moved away from a server whose wal_level is not logical.',
    })
  await source.query(`comment on schema ${schema} is 'aerodb: moving'`)
  await waitForOldTransactions(source)
  const unnamed = await source.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relkind = 'r' and (c.relreplident = 'n' or (c.relreplident = 'd' and not exists (
       select from pg_index i where i.indrelid = c.oid and i.indisprimary and i.indimmediate and i.indisvalid)))`,
    [schema],
  )
  for (const table of unnamed.rows) await source.query(`alter table ${table.name} replica identity full`)
  await source.query(
    `create publication ${name} for tables in schema ${schema}, table aerodb.move_marks where (move = '${name}')`,
  )
}

/** A command that had begun to change the schema before the freeze must be over before the schema is read. */
async function waitForOldTransactions(source: Queryable): Promise<void> {
  const frozen = await source.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
  const deadline = performance.now() + OLD_TRANSACTIONS_MS
  for (;;) {
    const oldest = await source.query<{ over: boolean }>(
      'select pg_snapshot_xmin(pg_current_snapshot()) > $1::xid8 as over',
      [frozen.rows[0]?.xid],
    )
    if (oldest.rows[0]?.over === true) return
    if (performance.now() > deadline) throw new Error('Old transactions on the source did not end')
    await sleep(WAIT_MS)
  }
}

/** Makes the slot on a replication connection (whose commands are known in capitals only); the snapshot of its first moment can be read from as long as that stays open. */
export async function createSlot(replication: pg.Client, name: string): Promise<string> {
  const made = await replication.query<{ snapshot_name: string }>(
    `CREATE_REPLICATION_SLOT ${name} LOGICAL pgoutput (SNAPSHOT 'export')`,
  )
  const snapshot = made.rows[0]?.snapshot_name
  if (snapshot === undefined) throw new Error('The slot came without a snapshot')
  return snapshot
}

/**
 * Begins to follow the slot. What comes is applied by the mover, who has rights on the rows of this schema and no others: a
 * tenant's expressions (in indexes, checks, generated columns) run as it, not as the administrator.
 * @param isDurable tells the source of a change only once a standby of the target has it: a target that fails over in the middle
 *   of a move then asks for what it has not.
 */
export async function subscribe(
  target: Queryable,
  name: string,
  address: StreamAddress,
  { isDurable }: { isDurable: boolean },
): Promise<void> {
  const connection = Object.entries({
    host: address.host,
    port: String(address.port),
    dbname: address.database,
    user: address.user,
    password: address.password,
    application_name: name,
  })
    .map(([key, value]) => `${key}='${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`)
    .join(' ')
  // The statement holds a password: the server's log must not show it should it fail.
  await target.query(
    `set log_min_error_statement = panic; set log_statement = none; set log_min_duration_statement = -1`,
  )
  try {
    await target.query(
      `create subscription ${name} connection '${connection.replaceAll("'", "''")}' publication ${name}
       with (create_slot = false, slot_name = '${name}', copy_data = false, enabled = false, run_as_owner = true, synchronous_commit = ${isDurable ? 'on' : 'local'})`,
    )
  } finally {
    await target.query(`reset log_min_error_statement; reset log_statement; reset log_min_duration_statement`)
  }
  await target.query(`alter subscription ${name} owner to ${MOVER}; alter subscription ${name} enable`)
}

/** True when the target follows and the source still has what it needs. */
export async function isFollowing(source: Queryable, target: Queryable, name: string): Promise<boolean> {
  const [slot, subscription] = await Promise.all([
    source.query(`select from pg_replication_slots where slot_name = $1 and coalesce(wal_status, '') <> 'lost'`, [
      name,
    ]),
    target.query('select from pg_subscription where subname = $1 and subenabled', [name]),
  ])
  return slot.rowCount === 1 && subscription.rowCount === 1
}

/** Ends the following; nothing is told to the source. */
export async function unsubscribe(target: Queryable, name: string): Promise<void> {
  const known = await target.query('select from pg_subscription where subname = $1', [name])
  if (known.rowCount === 0) return
  await target.query(`alter subscription ${name} disable`)
  await target.query(`alter subscription ${name} set (slot_name = none)`)
  await target.query(`drop subscription ${name}`)
  await target.query('delete from aerodb.move_marks where move = $1', [name])
}

/** Removes slot and publication from the source, and lets its schema be changed again. */
export async function unpublishSchema(source: Queryable, schema: string, name: string): Promise<void> {
  await dropSlot(source, name)
  await source.query(`drop publication if exists ${name}`)
  await source.query('delete from aerodb.move_marks where move = $1', [name])
  const full = await source.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relkind = 'r' and c.relreplident = 'f'
       and not exists (select from pg_publication_rel where prrelid = c.oid)`,
    [schema],
  )
  for (const table of full.rows) await source.query(`alter table ${table.name} replica identity default`)
  const present = await source.query('select from pg_namespace where nspname = $1', [schema])
  if (present.rowCount === 1) await source.query(`comment on schema ${schema} is null`)
}

/** A follower that was told to stop may hold the slot for a moment yet. */
async function dropSlot(source: Queryable, name: string): Promise<void> {
  const deadline = performance.now() + SLOT_FREE_MS
  for (;;) {
    const slot = await source.query<{ active_pid: number | null }>(
      'select active_pid from pg_replication_slots where slot_name = $1',
      [name],
    )
    const [row] = slot.rows
    if (row === undefined) return
    if (row.active_pid === null) {
      await source.query('select pg_drop_replication_slot($1)', [name])
      return
    }
    if (performance.now() > deadline) {
      await source.query('select pg_terminate_backend($1)', [row.active_pid])
    }
    await sleep(WAIT_MS)
  }
}
