import { TENANT_COLUMN } from '../../catalogue/catalogue.ts'
import { contextStatement, type Principal } from '../../postgres/principal.ts'
import { quoteIdentifier } from '../../postgres/quote.ts'
import type { Server } from '../../postgres/servers.ts'
import type { RowChange } from './row-change.ts'
import type { TableFacts } from './table-facts.ts'

/**
 * Whether a change may be told to anybody of this tenant at all: its row carries the tenant's own id. The schema has been
 * compared before; this is the second wall. A deleted row of which only the key is known carries no tenant: the schema decides.
 */
export function isOfTenant(change: RowChange, tenantId: string): boolean {
  const row = change.row ?? (change.oldIsFull ? change.old : undefined)
  const index = change.table.columns.findIndex((column) => column.name === TENANT_COLUMN)
  if (row === undefined || row === null || index < 0) return true
  return row[index] === tenantId
}

/**
 * Which of the changes this principal may read. The table's own policies are evaluated by Postgres, under the principal's role and claims,
 * on the very row that was written: not on what may have become of it since, and also when it is deleted. One query judges all.
 * A deleted row that is known by its key alone is told to nobody whom a predicate would have to let.
 */
export async function readableChanges(
  server: Server,
  principal: Principal,
  facts: TableFacts,
  changes: readonly RowChange[],
): Promise<ReadonlySet<RowChange>> {
  const { readableWhen } = facts
  if (principal.role === 'service_role' || readableWhen === 'all') return new Set(changes)
  if (readableWhen === 'none') return new Set()
  const judged = changes.filter((change) => judgedRow(change) !== null)
  if (judged.length === 0) return new Set()
  const table = quoteIdentifier(facts.name)
  const { rows } = await server.requests.run(principal.tenantId, [
    contextStatement(principal),
    {
      // The predicate sees one relation, called as the table is, and so means what it means in the policy.
      text: `select asked.number from jsonb_array_elements($1::jsonb) with ordinality as asked(document, number)
where exists (select from jsonb_populate_record(null::${quoteIdentifier(principal.schema)}.${table}, asked.document) as ${table}
  where ${readableWhen.predicate})`,
      values: [`[${judged.map(documentOf).join(',')}]`],
    },
  ])
  const readable = new Set<RowChange>()
  for (const [number] of rows) {
    const change = judged[Number(number) - 1]
    if (change !== undefined) readable.add(change)
  }
  return readable
}

/** The row that is judged, when all of it is known. */
function judgedRow({ row, old, oldIsFull }: RowChange): RowChange['row'] {
  const judged = row ?? (oldIsFull ? old : null)
  return judged === null || judged.includes(false) ? null : judged
}

/** The row with its values as texts, which `jsonb_populate_record` reads by each column's type; JSON stays JSON. */
function documentOf(change: RowChange): string {
  const row = judgedRow(change) ?? []
  const members = change.table.columns.map(({ name, type }, index) => {
    const value = row[index]
    const isJson = type === 'json' || type === 'jsonb'
    const json = typeof value !== 'string' ? 'null' : isJson ? value : JSON.stringify(value)
    return `${JSON.stringify(name)}:${json}`
  })
  return `{${members.join(',')}}`
}
