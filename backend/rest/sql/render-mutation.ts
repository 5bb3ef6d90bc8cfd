import type { Column } from '../../catalogue/catalogue.ts'
import { quoteIdentifier, quoteLiteral } from '../../postgres/quote.ts'
import type { ReadPlan } from '../plan/plan.ts'
import type { Mutation, RequestPlan } from '../plan/plan-request.ts'
import type { Payload } from '../request/payload.ts'
import { renderOrder, renderRange, renderWhere } from './render-read.ts'
import type { SqlBuilder } from './sql-builder.ts'

type MutationPlan = Extract<RequestPlan, { kind: 'mutation' }>

/** The table that is written, in every mutation and its `returning`. */
export const WRITTEN = 'm'

/** The insert, update or delete itself; `returning` is put behind it. */
export function renderMutation(builder: SqlBuilder, plan: MutationPlan, returning: string): string {
  switch (plan.mutation.kind) {
    case 'insert':
      return renderInsert(builder, plan, plan.mutation) + returning
    case 'update':
      return renderUpdate(builder, plan, plan.mutation) + returning
    case 'delete': {
      const table = builder.qualified(plan.read.relation.name)
      return `delete from ${table} ${WRITTEN}${renderTarget(builder, plan)}${returning}`
    }
  }
}

function renderInsert(
  builder: SqlBuilder,
  plan: MutationPlan,
  mutation: Extract<Mutation, { kind: 'insert' }>,
): string {
  const { columns, payload, conflict } = mutation
  const { read } = plan
  const table = builder.qualified(read.relation.name)
  const names = columns.map((column) => quoteIdentifier(column.name)).join(', ')
  let text: string
  if (columns.length > 0)
    text = `insert into ${table} as ${WRITTEN} (${names}) select ${names} from ${renderRecords(builder, read, mutation)}${renderNamedRow(builder, plan)}`
  else if (payload.rowCount > 0 && !payload.isArray) text = `insert into ${table} as ${WRITTEN} default values`
  else text = `insert into ${table} as ${WRITTEN} select from ${table} where false`
  if (conflict === undefined) return text
  const target = conflict.target.map((column) => quoteIdentifier(column.name)).join(', ')
  const assignments = columns.map(
    (column) => `${quoteIdentifier(column.name)} = excluded.${quoteIdentifier(column.name)}`,
  )
  const isMerge = conflict.action === 'merge' && assignments.length > 0
  return `${text} on conflict (${target}) do ${isMerge ? `update set ${assignments.join(', ')}` : 'nothing'}`
}

/** Of a PUT's payload, the row that the URL names; its records are under the alias `_`. */
function renderNamedRow(builder: SqlBuilder, plan: MutationPlan): string {
  return plan.isPut ? renderWhere(builder, { ...plan.read, conditions: plan.conditions }, '_') : ''
}

function renderUpdate(
  builder: SqlBuilder,
  plan: MutationPlan,
  mutation: Extract<Mutation, { kind: 'update' }>,
): string {
  const { columns } = mutation
  const table = builder.qualified(plan.read.relation.name)
  const [first] = plan.read.relation.columns.values()
  // Nothing to set: an update that touches no row, so that what it returns has the right columns.
  if (columns.length === 0 || mutation.payload.rowCount === 0) {
    const name = quoteIdentifier(first?.name ?? '')
    return `update ${table} ${WRITTEN} set ${name} = ${WRITTEN}.${name} where false`
  }
  const record = builder.alias()
  const assignments = columns.map(
    (column) => `${quoteIdentifier(column.name)} = ${record}.${quoteIdentifier(column.name)}`,
  )
  const records = renderRecords(builder, plan.read, mutation)
  return `update ${table} ${WRITTEN} set ${assignments.join(', ')} from (select * from ${records} limit 1) ${record}${renderTarget(builder, plan)}`
}

/** The rows that an update or delete is about; a limited one picks them first. */
function renderTarget(builder: SqlBuilder, plan: MutationPlan): string {
  const conditions = { ...plan.read, conditions: plan.conditions }
  if (plan.limited === undefined) return renderWhere(builder, conditions, WRITTEN)
  const picked = builder.alias()
  const { order, limit, offset } = plan.limited
  const where = renderWhere(builder, conditions, picked)
  const sorting = renderOrder(builder, order, { alias: picked, embeds: new Map() })
  const table = builder.qualified(plan.read.relation.name)
  return ` where ${WRITTEN}.ctid in (select ${picked}.ctid from ${table} ${picked}${where}${sorting}${renderRange(builder, { limit, offset })})`
}

/** The payload as rows with the columns' own types: one bound value, read by Postgres. */
function renderRecords(
  builder: SqlBuilder,
  read: ReadPlan,
  mutation: { columns: readonly Column[]; payload: Payload; missingAsDefault: boolean },
): string {
  const { columns, payload, missingAsDefault } = mutation
  const typed = columns.map((column) => `${quoteIdentifier(column.name)} ${column.type}`).join(', ')
  const value = builder.bind(payload.json)
  const defaults = missingAsDefault ? columns.flatMap((column) => renderDefault(builder, read, column)) : []
  if (defaults.length === 0)
    return `pg_catalog.${payload.isArray ? 'json_to_recordset' : 'json_to_record'}(${value}::json) as _(${typed})`
  const elements = payload.isArray ? `pg_catalog.jsonb_array_elements(${value}::jsonb)` : `(select ${value}::jsonb)`
  const element = builder.alias()
  const filled = `pg_catalog.jsonb_build_object(${defaults.join(', ')}) || ${element}.e`
  return `${elements} ${element}(e), lateral pg_catalog.jsonb_to_record(${filled}) as _(${typed})`
}

/** `'name', default`: the default's SQL text comes from the catalogue. */
function renderDefault(builder: SqlBuilder, read: ReadPlan, column: Column): readonly string[] {
  if (column.identity !== '') {
    const table = builder.qualified(read.relation.name)
    const sequence = `pg_catalog.pg_get_serial_sequence(${quoteLiteral(table)}, ${quoteLiteral(column.name)})`
    return [`${quoteLiteral(column.name)}, pg_catalog.nextval(${sequence})`]
  }
  return column.defaultText === null ? [] : [`${quoteLiteral(column.name)}, ${column.defaultText}`]
}
