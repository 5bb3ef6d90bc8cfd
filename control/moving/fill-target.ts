import type pg from 'pg'
import { Problem } from '../../runtime/problem.ts'
import { findBlockers } from '../schema-objects/blockers.ts'
import { describeSchema } from '../schema-objects/read-schema.ts'
import { findServer } from '../stores/server-store.ts'
import { admitMover, copyRows, makeParts } from './copy-schema.ts'
import type { Ends } from './cut-over.ts'
import type { Both, MoveOptions } from './ends.ts'
import {
  createSlot,
  publishSchema,
  type StreamAddress,
  subscribe,
  unpublishSchema,
  unsubscribe,
} from './replication.ts'

/** Before anything is made: what the target could not take. */
export async function refuseBlocked({ move }: Both, { source, schema }: Ends): Promise<void> {
  const blockers = await findBlockers(source, schema, {
    isFromOwnServer: move.from_isolation !== 'schema',
    isToShared: move.to_isolation === 'schema',
  })
  if (blockers.length === 0) return
  const told = blockers.map(({ object, reason }) => `${object.replaceAll(`${schema}.`, '')}: ${reason}`)
  throw new Problem(409, 'move_blocked', { detail: `In the way of the move: ${told.join('; ')}.` })
}

/** Removes what an attempt that was cut off has left on both servers. */
export async function clearTarget({ to, target }: Both, ends: Ends): Promise<void> {
  await unsubscribe(ends.target, ends.move)
  await unpublishSchema(ends.source, ends.schema, ends.move)
  const made = await ends.target.query(
    `select from pg_depend d join pg_namespace n on n.oid = d.refobjid and n.nspname = $1
     where d.refclassid = 'pg_namespace'::regclass and d.classid <> 'pg_default_acl'::regclass limit 1`,
    [ends.schema],
  )
  if (made.rowCount === 0) return
  await ends.target.query(`drop schema ${ends.schema} cascade`)
  await to.provision(target)
}

/** The structure, then the rows as of the slot's first moment, then what hangs on them; last of all the target follows. */
export async function fillTarget(
  ends: Ends,
  replication: () => Promise<pg.Client>,
  address: StreamAddress,
  isDurable: boolean,
  onCopied: () => Promise<void> | void,
): Promise<void> {
  const { source, schema, move } = ends
  await publishSchema(source, schema, move)
  const description = await describeSchema(source, schema)
  await makeParts(ends.target, description.beforeRows)
  await admitMover(ends.target, schema, description)
  const slots = await replication()
  try {
    const snapshot = await createSlot(slots, move)
    await copyRows(source, ends.target, schema, description.tables, snapshot)
  } finally {
    await slots.end()
  }
  await onCopied()
  await makeParts(ends.target, description.afterRows)
  await keepForRealtime(ends)
  await ends.target.query(`analyze`)
  await subscribe(ends.target, move, address, { isDurable })
}

/** Tables that somebody listens to are told of on the new server too, from the first change on. */
async function keepForRealtime({ source, target, schema }: Ends): Promise<void> {
  const listened = await source.query<{ sql: string }>(
    `select format('alter publication aerodb_realtime add table only %I.%I', schemaname, tablename) as sql
     from pg_publication_tables where pubname = 'aerodb_realtime' and schemaname = $1
     union all
     select format('alter table %I.%I replica identity full', n.nspname, c.relname) from pg_publication_rel r
     join pg_publication p on p.oid = r.prpubid and p.pubname = 'aerodb_realtime'
     join pg_class c on c.oid = r.prrelid and c.relreplident = 'f' join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1`,
    [schema],
  )
  for (const { sql } of listened.rows) await target.query(sql)
}

/** Where the target finds the source. */
export async function findAddress({ pool, sealer }: MoveOptions, { move }: Both): Promise<StreamAddress> {
  const row = await findServer(pool, move.from_server)
  if (row === undefined) throw new Error('The server to move from is not known')
  return {
    host: row.host,
    port: row.port,
    database: row.database,
    user: 'aerodb_replication',
    password: sealer.open(row.sealed_ddl_password, `server:${row.server}`),
  }
}
