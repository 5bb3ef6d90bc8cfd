import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { readSequences, type SchemaTable, writeSequences } from '../schema-objects/read-schema.ts'
import type { Queryable } from '../stores/change.ts'
import { compareRows, measureTables } from './compare-rows.ts'
import { sendMark, stopAtMark } from './marks.ts'

/** What is waited for while writes stand still, at most. */
const LOCK_MS = 600
const CATCH_UP_MS = 1_200
/** Postgres itself ends a hold whose holder says nothing: a killed or stalled control holds nobody up for longer. */
const HOLD_EXPIRES_MS = 3_000
/** Up to here all rows are compared once more inside the hold: some 50 ms. */
const COMPARE_IN_HOLD_BYTES = 8_000_000
const STOP_MS = 30_000
const MOVED = 'aerodb: moved to '

/** The two ends of a move: connections of the administrators, each used for one thing at a time. */
export type Ends = {
  source: pg.Client
  /** A second one to the source, which holds the writes. */
  holder: pg.Client
  target: pg.Client
  schema: string
  /** The name of slot, publication and subscription. */
  move: string
}

/** Where the schema was sealed to, if it was: the source's own word, and the one that counts. */
export async function readSeal(source: Queryable, schema: string): Promise<string | undefined> {
  const result = await source.query<{ comment: string | null }>(
    `select obj_description(oid, 'pg_namespace') as comment from pg_namespace where nspname = $1`,
    [schema],
  )
  const comment = result.rows[0]?.comment
  return comment?.startsWith(MOVED) === true ? comment.slice(MOVED.length) : undefined
}

/**
 * Compares all rows of both sides at one moment of the tenant's history, while it goes on: writes stand still only for the
 * instant in which the moment is fixed.
 */
export async function verifyFollower(ends: Ends, tables: readonly SchemaTable[]): Promise<void> {
  const { source, holder, target, schema, move } = ends
  const begin = 'begin isolation level repeatable read read only'
  const stop = await holdWrites(holder, schema, tables, async () => {
    const stopped = await stopAtMark(source, target, move, STOP_MS)
    // Fixed while nobody writes, after everything before the mark and before everything after it.
    await source.query(begin)
    await source.query('select pg_current_snapshot()')
    return stopped
  }).finally(() => holder.query('rollback').catch(() => {}))
  try {
    try {
      await stop.whenStopped()
      await target.query(begin)
      await target.query('select pg_current_snapshot()')
    } finally {
      await stop.letGo()
    }
    await compareRows(source, target, schema)
  } finally {
    await source.query('rollback')
    await target.query('rollback')
  }
}

/**
 * The cut. One transaction on the source holds the writes (reads go on), and its commit is what moves the tenant: until then
 * everything is as it was, whoever dies; from then on the source refuses the tenant and says where it is.
 *
 * 1. locks on all tables: who was writing is done, who begins now waits. 2. a mark: the target has everything. 3. sequences.
 * 4. counts and checksums, of small tenants once more. 5. the seal: rights on the schema go, its comment names the new server.
 */
export async function cutOver(
  ends: Ends,
  tables: readonly SchemaTable[],
  toServer: string,
  onHeld: () => Promise<void> | void,
): Promise<void> {
  const { source, holder, target, schema, move } = ends
  const isSmall = (await measureTables(source, schema)) <= COMPARE_IN_HOLD_BYTES
  const triggers = await listEagerTriggers(source, schema)
  try {
    await holdWrites(holder, schema, tables, async () => {
      await onHeld()
      await sendMark(source, target, move, CATCH_UP_MS)
      await writeSequences(target, await readSequences(source, schema))
      for (const sql of triggers) await target.query(sql)
      if (isSmall) await compareRows(source, target, schema)
      // A commit that is on disk when it returns, and with it all that the follower had committed before.
      await target.query(`set synchronous_commit = on; delete from aerodb.move_marks where move = '${move}'`)
      await holder.query(`revoke usage, create on schema ${schema} from ${schema}, aerodb_ddl;
        comment on schema ${schema} is '${MOVED}${toServer}'`)
    })
    await holder.query('commit')
  } catch (fault) {
    await holder.query('rollback').catch(() => {})
    throw fault
  }
}

/**
 * Lets no transaction write a table of the schema any more, waits for those that do, and runs `work`; the hold lasts until the
 * holder's transaction ends. It gives up before Postgres would look for a deadlock (1 s), so that it never costs a client its transaction.
 */
async function holdWrites<Result>(
  holder: pg.Client,
  schema: string,
  tables: readonly SchemaTable[],
  work: () => Promise<Result>,
): Promise<Result> {
  await holder.query(`begin; set local statement_timeout = ${LOCK_MS};
    set local idle_in_transaction_session_timeout = ${HOLD_EXPIRES_MS}`)
  if (tables.length > 0) {
    const names = tables.map(({ name }) => `only ${schema}.${pg.escapeIdentifier(name)}`).join(', ')
    await holder.query(`lock table ${names} in share row exclusive mode`)
  }
  await holder.query('set local statement_timeout = 0')
  return work()
}

/** Triggers that fire for a follower's changes too: their effects come with the changes, so they stay off until the cut. */
async function listEagerTriggers(source: Queryable, schema: string): Promise<string[]> {
  const result = await source.query<{ sql: string }>(
    `select format('alter table %I.%I enable %s trigger %I', n.nspname, c.relname,
       case t.tgenabled when 'A' then 'always' else 'replica' end, t.tgname) as sql
     from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and not t.tgisinternal and t.tgparentid = 0 and t.tgenabled in ('A', 'R')`,
    [schema],
  )
  return result.rows.map(({ sql }) => sql)
}

/** Tries until it goes through: a long write of the tenant makes the hold give up, and it comes back a little later. */
export async function retryCut(attempts: number, cut: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await cut()
    } catch (fault) {
      const isBusy = fault instanceof pg.DatabaseError && ['55P03', '57014', '40P01'].includes(fault.code ?? '')
      if (!isBusy || attempt === attempts) throw fault
      await sleep(Math.min(200 * attempt, 2_000) * (0.5 + Math.random()))
    }
  }
}
