import type { Queryable } from '../stores/change.ts'
import { orderParts } from './order-parts.ts'
import { ALIASES, PART_QUERIES, type PartKind } from './part-queries.ts'

/** One object of a schema (or a right, or a comment) with the SQL that makes it. */
export type SchemaPart = { key: string; kind: PartKind; sql: string }

/** A table that holds rows itself; its columns without the generated ones, in order. */
export type SchemaTable = { name: string; columns: readonly string[] }

/** How far a sequence is. */
export type SequenceState = { name: string; lastValue: string; isCalled: boolean }

/** A schema as it can be made again elsewhere: Postgres's own words for each part, in an order in which they can be said. */
export type SchemaDescription = {
  /** Everything that tables need, and the tables; then rows can be put in. */
  beforeRows: readonly SchemaPart[]
  /** Indexes, keys, views, triggers, policies and what else hangs on tables. */
  afterRows: readonly SchemaPart[]
  tables: readonly SchemaTable[]
}

/**
 * Reads the schema from the catalogue; there is no `pg_dump` beside the embedded server. Runs on one connection, whose search
 * path it empties, so that every name comes out qualified.
 */
export async function describeSchema(db: Queryable, schema: string): Promise<SchemaDescription> {
  await db.query(`set search_path = ''`)
  const parts: SchemaPart[] = []
  for (const { kind, sql } of PART_QUERIES) {
    const result = await db.query<{ class: number; id: string; sql: string }>(sql, [schema])
    for (const row of result.rows) {
      const key = kind === 'grant' || kind === 'comment' ? `${kind}:${parts.length}` : `${row.class}:${row.id}`
      parts.push({ key, kind, sql: row.sql })
    }
  }
  const ordered = orderParts(parts, await readNeeds(db, schema, parts))
  const lastTable = ordered.findLastIndex((part) => part.kind === 'table')
  return {
    beforeRows: ordered.slice(0, lastTable + 1),
    afterRows: ordered.slice(lastTable + 1),
    tables: await listTables(db, schema),
  }
}

/** Which part needs which others to be there. */
async function readNeeds(
  db: Queryable,
  schema: string,
  parts: readonly SchemaPart[],
): Promise<Map<string, Set<string>>> {
  const partOf = new Map(parts.map((part) => [part.key, part.key]))
  const aliases = await db.query<{ class: number; id: number; part_class: number; part_id: number }>(ALIASES, [schema])
  for (const row of aliases.rows) {
    const key = `${row.class}:${row.id}`
    if (!partOf.has(key)) partOf.set(key, `${row.part_class}:${row.part_id}`)
  }
  const names = [...partOf.keys()]
    .map((key) => key.split(':'))
    .filter(([kind, id]) => Number(kind) > 0 && Number(id) > 0)
  const rows = await db.query<{ from: string; to: string }>(
    `with mine as (select * from unnest($1::oid[], $2::oid[]) as mine (class, id))
     select distinct classid || ':' || objid as from, refclassid || ':' || refobjid as to from pg_catalog.pg_depend
     join mine here on here.class = classid and here.id = objid
     join mine there on there.class = refclassid and there.id = refobjid where deptype <> 'a' or classid = 'pg_class'::regclass`,
    [names.map(([kind]) => kind), names.map(([, id]) => id)],
  )
  const needs = new Map<string, Set<string>>()
  for (const row of rows.rows) {
    const from = partOf.get(row.from)
    const to = partOf.get(row.to)
    if (from === undefined || to === undefined || from === to) continue
    const known = needs.get(from)
    if (known === undefined) needs.set(from, new Set([to]))
    else known.add(to)
  }
  return needs
}

/** The tables of the schema that hold rows. */
export async function listTables(db: Queryable, schema: string): Promise<SchemaTable[]> {
  const result = await db.query<SchemaTable>(
    `select c.relname as name, array(
         select a.attname::text from pg_catalog.pg_attribute a
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum) as columns
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relkind = 'r' order by c.relname`,
    [schema],
  )
  return result.rows
}

/** Every sequence of the schema with how far it is; those behind identity columns too. */
export async function readSequences(db: Queryable, schema: string): Promise<SequenceState[]> {
  const names = await db.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_catalog.pg_class c
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind = 'S' order by 1`,
    [schema],
  )
  if (names.rows.length === 0) return []
  const states = await db.query<SequenceState>(
    names.rows
      .map(
        ({ name }) =>
          `select ${quoteText(name)} as name, last_value::text as "lastValue", is_called as "isCalled" from ${name}`,
      )
      .join(' union all '),
  )
  return states.rows
}

/** Sets sequences as they were read. */
export async function writeSequences(db: Queryable, states: readonly SequenceState[]): Promise<void> {
  for (const { name, lastValue, isCalled } of states)
    await db.query('select pg_catalog.setval($1::regclass, $2::bigint, $3)', [name, lastValue, isCalled])
}

function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
