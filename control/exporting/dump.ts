import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { isOwnTable } from '../../tenancy/own-tables.ts'
import { SAME_TEXT } from '../moving/copy-schema.ts'
import { describeSchema, readSequences, type SchemaPart } from '../schema-objects/read-schema.ts'
import type { Queryable } from '../stores/change.ts'

/** Parts that mean something on our servers only: policies ask for settings of ours, rights are those of our roles. */
const OURS: ReadonlySet<SchemaPart['kind']> = new Set(['policy', 'grant'])

/** What `psql` is told first: that what follows was written in this form. */
const PREAMBLE = `set statement_timeout = 0;
set client_encoding = 'UTF8';
set standard_conforming_strings = on;
set check_function_bodies = off;
set client_min_messages = warning;
set datestyle = 'ISO, MDY';
set intervalstyle = 'postgres';
set timezone = 'UTC';
select pg_catalog.set_config('search_path', '', false);

begin;
`

/** The last line; a dump without it was cut off, and nothing of it is kept as its transaction was not committed. */
export const LAST_LINE = '-- The dump is complete.\n'

/**
 * A tenant's schema as SQL that `psql -f` runs in a plain Postgres of the same or a later version, in one transaction: its own
 * tables with rows, sequences, keys, indexes, views, functions and triggers, in a schema called `name`. Left out is what is
 * ours: the column `tenant_id`, policies, rights and the tables behind `/storage/v1` and `/schema/v1`.
 *
 * Everything is of one moment. It is made while it is read: nothing of it lies in memory or on a disk of ours.
 * @param source an administrator's connection, used for nothing else meanwhile; it is left within a transaction.
 */
export async function* dumpSchema(
  source: pg.Client,
  schema: string,
  name: string,
): AsyncGenerator<string | Uint8Array, void, undefined> {
  await source.query(SAME_TEXT)
  await source.query('begin isolation level repeatable read read only')
  const description = await describeSchema(source, schema)
  const hidden = await listOwnColumns(source, schema)
  const statements = (parts: readonly SchemaPart[]) =>
    parts
      .filter((part) => !OURS.has(part.kind) && !part.sql.startsWith('comment on policy '))
      .map(({ sql }) => `${sql};\n`)

  yield `-- The tenant ${name}, for psql.\n${PREAMBLE}create schema ${schema};\n`
  yield* statements(description.beforeRows)
  // They are dropped at the end, for what follows here may still name them.
  for (const { name: table } of description.tables)
    if (hidden.has(`${table}.tenant_id`))
      yield `alter table ${schema}.${pg.escapeIdentifier(table)} alter column tenant_id drop not null;\n`
  for (const table of description.tables) {
    const columns = table.columns.filter((column) => !hidden.has(`${table.name}.${column}`))
    if (isOwnTable(table.name) || columns.length === 0) continue
    const target = `${schema}.${pg.escapeIdentifier(table.name)} (${columns.map(pg.escapeIdentifier).join(', ')})`
    yield `\ncopy ${target} from stdin;\n`
    const rows = source.query(copyTo(`copy ${target} to stdout`))
    for await (const chunk of rows) yield chunk as Uint8Array
    yield '\\.\n'
  }
  for (const { name: sequence, lastValue, isCalled } of await readSequences(source, schema))
    yield `select pg_catalog.setval(${pg.escapeLiteral(sequence)}, ${lastValue}, ${isCalled});\n`
  yield* statements(description.afterRows)
  for (const { name: table } of description.tables) {
    const qualified = `${schema}.${pg.escapeIdentifier(table)}`
    if (isOwnTable(table)) yield `drop table ${qualified} cascade;\n`
    else if (hidden.has(`${table}.tenant_id`)) yield `alter table ${qualified} drop column tenant_id;\n`
  }
  yield `alter schema ${schema} rename to ${pg.escapeIdentifier(name)};\ncommit;\n${LAST_LINE}`
}

/** The columns behind our row level walls, as `table.column`: a tenant neither sees nor writes them. */
async function listOwnColumns(db: Queryable, schema: string): Promise<Set<string>> {
  const result = await db.query<{ name: string }>(
    `select c.relname || '.tenant_id' as name from pg_catalog.pg_attribute a
     join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
     where n.nspname = $1 and a.attname = 'tenant_id' and not a.attisdropped
       and pg_catalog.pg_get_expr(d.adbin, d.adrelid) like 'current_setting(''app.tenant_id''%'`,
    [schema],
  )
  return new Set(result.rows.map((row) => row.name))
}
