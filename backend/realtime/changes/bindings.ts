import { contextStatement, type Principal } from '../../postgres/principal.ts'
import type { Server } from '../../postgres/servers.ts'
import { BindingError } from '../channels/changes-port.ts'
import type { RequestedBinding } from '../channels/join-config.ts'
import { type Condition, compileCondition, type Matcher, parseFilter, takesTypedValues } from './filter.ts'
import type { PgTuple } from './pgoutput.ts'
import type { RowChange } from './row-change.ts'
import type { TableFacts } from './table-facts.ts'

const EVENTS: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE', '*'])

/** One `postgres_changes` entry, checked against the tables and ready to be matched. */
export type Binding = {
  id: number
  event: string
  /** `undefined` listens to every table of the schema. */
  table: string | undefined
  conditions: readonly { column: string; matches: Matcher }[]
  /** Columns wanted; `undefined` for all. */
  select: ReadonlySet<string> | undefined
}

/** The only schema that a tenant sees. */
export const CLIENT_SCHEMA = 'public'

/**
 * Checks a binding: its event, its schema, its table and every column that it names.
 * @throws BindingError
 */
export async function prepareBinding(
  requested: RequestedBinding & { id: number },
  facts: readonly TableFacts[],
  server: Server,
  principal: Principal,
): Promise<Binding> {
  const { id, schema = CLIENT_SCHEMA, filter } = requested
  const event = requested.event.toUpperCase()
  const table = requested.table == null || requested.table === '*' ? undefined : requested.table
  if (!EVENTS.has(event) || (schema !== CLIENT_SCHEMA && schema !== '*')) throw cannotSubscribe(requested)
  const found = facts.find((candidate) => candidate.name === table)
  if (table !== undefined && found === undefined) throw cannotSubscribe(requested)
  const hasFilter = filter != null && filter !== ''
  if (hasFilter && found === undefined) throw new BindingError('A filter takes a table')
  for (const column of requested.select ?? [])
    if (found?.columns.has(column) !== true)
      throw new BindingError(`Unknown column ${JSON.stringify(column)} in \`select\``)
  const conditions = hasFilter && found !== undefined ? parseFilter(filter) : []
  return {
    id,
    event,
    table,
    select: requested.select == null ? undefined : new Set([...requested.select, ...(found?.primaryKey ?? [])]),
    conditions: await Promise.all(
      conditions.map(async (condition) => {
        const column = found?.columns.get(condition.column)
        if (column === undefined) throw new BindingError(`invalid column for filter ${condition.column}`)
        const canonical = takesTypedValues(condition)
          ? await canonicalValues(server, principal, condition, column.sqlType)
          : condition.values
        return { column: condition.column, matches: compileCondition({ ...condition, values: canonical }, column.type) }
      }),
    ),
  }
}

/** True when the change is one that the binding asks for. Of a deleted row often only the key is known. */
export function matchesBinding(binding: Binding, change: RowChange): boolean {
  if (binding.table !== undefined && binding.table !== change.table.name) return false
  if (binding.event !== '*' && binding.event !== change.type) return false
  const row: PgTuple | null = change.row ?? change.old
  return binding.conditions.every(({ column, matches }) => {
    const index = change.table.columns.findIndex((candidate) => candidate.name === column)
    const value = row?.[index]
    return typeof value === 'string' || value === null ? matches(value) : false
  })
}

/** The values as Postgres writes them: `eq.1.0` finds `1` in an integer column no less than the database would. */
async function canonicalValues(
  server: Server,
  principal: Principal,
  condition: Condition,
  sqlType: string,
): Promise<string[]> {
  try {
    const { rows } = await server.requests.run(principal.tenantId, [
      contextStatement(principal),
      {
        text: `select set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true),
  set_config('intervalstyle', 'postgres', true), set_config('extra_float_digits', '1', true), set_config('bytea_output', 'hex', true)`,
        values: [],
      },
      {
        text: `select (value #>> '{}')::${sqlType}::text from jsonb_array_elements($1::jsonb) with ordinality as given(value, number) order by number`,
        values: [JSON.stringify(condition.values)],
      },
    ])
    return rows.map(([value]) => value ?? '')
  } catch (fault) {
    if (fault instanceof Error && 'code' in fault && typeof fault.code === 'string' && fault.code.startsWith('22'))
      throw new BindingError(fault.message)
    throw fault
  }
}

function cannotSubscribe({ event, schema = CLIENT_SCHEMA, table, filter }: RequestedBinding): BindingError {
  const parameters = [
    `event: ${event}`,
    `schema: ${schema}`,
    ...(table == null ? [] : [`table: ${table}`]),
    ...(filter == null ? [] : [`filter: ${filter}`]),
  ]
  return new BindingError(
    `Unable to subscribe to changes with given parameters. Please check that the table exists: [${parameters.join(', ')}]`,
  )
}
