import pg from 'pg'
import { Problem } from '../../runtime/problem.ts'
import { listTables, type SchemaTable } from '../schema-objects/read-schema.ts'
import type { Queryable } from '../stores/change.ts'

/** How many rows a table has, and a sum over all of them that no row can change without changing it. */
type Fingerprint = { count: string; sum: string }

/**
 * Compares every table of the schema on both sides, by count and checksum, and that both have the same tables. Each side
 * is read at the moment that its session is at: whoever calls sees to it that these are the same moment of the tenant's history.
 * @throws Problem 500 `move_differs` naming the first table that differs.
 */
export async function compareRows(source: Queryable, target: Queryable, schema: string): Promise<void> {
  const [here, there] = await Promise.all([listTables(source, schema), listTables(target, schema)])
  if (JSON.stringify(here) !== JSON.stringify(there)) throw differs('The two servers do not have the same tables.')
  for (const table of here) {
    const [before, after] = await Promise.all([fingerprint(source, schema, table), fingerprint(target, schema, table)])
    if (before.count !== after.count || before.sum !== after.sum)
      throw differs(
        `The table ${table.name} has ${before.count} rows on one server and ${after.count} on the other, or others.`,
      )
  }
}

/** Bytes of the schema's tables, without their indexes. */
export async function measureTables(db: Queryable, schema: string): Promise<number> {
  const result = await db.query<{ bytes: string }>(
    `select coalesce(sum(pg_table_size(c.oid)), 0)::text as bytes from pg_class c
     join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind = 'r'`,
    [schema],
  )
  return Number(result.rows[0]?.bytes ?? 0)
}

async function fingerprint(db: Queryable, schema: string, table: SchemaTable): Promise<Fingerprint> {
  const columns = table.columns.map(pg.escapeIdentifier).join(', ')
  const result = await db.query<Fingerprint>(
    `select count(*)::text as count, coalesce(sum(pg_catalog.hashtextextended(row(${columns})::text, 0)::numeric), 0)::text as sum
     from ${schema}.${pg.escapeIdentifier(table.name)}`,
  )
  return result.rows[0] ?? { count: '', sum: '' }
}

function differs(detail: string): Problem {
  return new Problem(500, 'move_differs', { detail })
}
