import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { MOVER } from '../provisioners/server-setup.ts'
import type { SchemaDescription, SchemaPart, SchemaTable } from '../schema-objects/read-schema.ts'

/** Values pass as text, which must be read as it was written, whatever the servers are set to. */
export const SAME_TEXT = `set timezone = 'UTC'; set datestyle = 'ISO, MDY'; set intervalstyle = 'postgres';
  set extra_float_digits = 1; set bytea_output = 'hex'; set lc_monetary = 'C'; set search_path = ''`

/** Makes the parts in the tenant's schema on the target, as the login that owns all tenants' objects there. */
export async function makeParts(target: pg.Client, parts: readonly SchemaPart[]): Promise<void> {
  await target.query(`set role aerodb_ddl; set check_function_bodies = off; set search_path = ''`)
  try {
    for (const { sql } of parts) await target.query(sql)
  } finally {
    await target.query('reset role; reset check_function_bodies')
  }
}

/** Copies the rows as they were at `snapshot`, table by table, by streams with backpressure. */
export async function copyRows(
  source: pg.Client,
  target: pg.Client,
  schema: string,
  tables: readonly SchemaTable[],
  snapshot: string,
): Promise<void> {
  await source.query(SAME_TEXT)
  await target.query(SAME_TEXT)
  await source.query('begin isolation level repeatable read read only')
  try {
    await source.query(`set transaction snapshot '${snapshot}'`)
    await target.query(`set role ${MOVER}`)
    for (const table of tables) {
      if (table.columns.length === 0) continue
      const name = `${schema}.${pg.escapeIdentifier(table.name)}`
      const columns = table.columns.map(pg.escapeIdentifier).join(', ')
      await pipeline(
        source.query(copyTo(`copy ${name} (${columns}) to stdout`)),
        target.query(copyFrom(`copy ${name} (${columns}) from stdin`)),
      )
    }
  } finally {
    await target.query('reset role').catch(() => {})
    await source.query('rollback').catch(() => {})
  }
}

/** Lets the mover write the schema's rows, for the time of the move; nobody else gets a right by it. */
export async function admitMover(target: pg.Client, schema: string, description: SchemaDescription): Promise<void> {
  await target.query(`grant usage on schema ${schema} to ${MOVER}`)
  for (const { name } of description.tables)
    await target.query(
      `grant select, insert, update, delete, truncate on ${schema}.${pg.escapeIdentifier(name)} to ${MOVER}`,
    )
}

/** Takes the mover's rights away again. */
export async function dismissMover(target: pg.Client, schema: string): Promise<void> {
  const present = await target.query('select from pg_namespace where nspname = $1', [schema])
  if (present.rowCount === 0) return
  await target.query(
    `revoke all on all tables in schema ${schema} from ${MOVER}; revoke all on schema ${schema} from ${MOVER}`,
  )
}
