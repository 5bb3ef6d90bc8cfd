import { quoteIdentifier } from '../../postgres/quote.ts'
import type { Statement } from '../../postgres/statement.ts'
import type { ReadPlan } from '../plan/plan.ts'
import type { RequestPlan } from '../plan/plan-request.ts'
import type { MediaType } from '../request/media-type.ts'
import type { Preferences } from '../request/preferences.ts'
import { type GuardReason, renderGuard } from './guard.ts'
import { renderBody } from './render-body.ts'
import { renderCall } from './render-call.ts'
import { renderMutation, WRITTEN } from './render-mutation.ts'
import { columnsRead, ROW, readsWholeRow, renderRows, renderRowsOf, renderUnranged } from './render-read.ts'
import { SqlBuilder } from './sql-builder.ts'

/** A statement, and which of its values are those of plain filters. */
export type RenderedStatement = Statement & { slots: readonly { at: number; parameter: number }[] }

/**
 * The statement of a plan. It gives one row: the total (or null), the number of rows of the page, the values of the primary
 * key of a single written row (or null), the body as text, and
 * how many rows an upsert inserted (or null); or no row where only the number of rows written matters.
 */
export function renderRequest(
  schema: string,
  plan: RequestPlan,
  asked: MediaType,
  preferences: Preferences,
): RenderedStatement {
  const builder = new SqlBuilder(schema)
  const accept = asked.kind === 'plan' ? asked.of : asked
  const text =
    plan.kind === 'read'
      ? readText(builder, plan, accept, preferences)
      : plan.kind === 'call'
        ? renderCall(builder, plan, accept, preferences)
        : mutationText(builder, plan, accept, preferences)
  const explain = asked.kind === 'plan' ? `explain (${[`format ${asked.format}`, ...asked.options].join(', ')}) ` : ''
  return { text: explain + text, values: builder.values, slots: builder.slots }
}

/** Asks Postgres for its plan of the rows that `read` gives without its range. */
export function renderEstimate(schema: string, read: ReadPlan): Statement {
  const builder = new SqlBuilder(schema)
  return { text: `explain (format json) ${renderUnranged(builder, read)}`, values: builder.values }
}

function readText(
  builder: SqlBuilder,
  plan: Extract<RequestPlan, { kind: 'read' }>,
  accept: MediaType,
  preferences: Preferences,
): string {
  const rows = renderRows(builder, plan.read)
  const total =
    preferences.count === undefined || plan.estimatedTotal !== undefined
      ? 'null'
      : `(select pg_catalog.count(*) from (${renderUnranged(builder, plan.read)}) c)::text`
  const body = plan.isHead ? "''" : renderBody(builder, accept, plan.read)
  return `select ${total}, pg_catalog.count(*)::text, null, ${body} from (${rows}) r`
}

function mutationText(
  builder: SqlBuilder,
  plan: Extract<RequestPlan, { kind: 'mutation' }>,
  accept: MediaType,
  preferences: Preferences,
): string {
  const wantsRows = preferences.return === 'representation'
  const wantsKey = preferences.return === 'headers-only' && plan.mutation.kind === 'insert'
  const isSingular = accept.kind === 'object' && wantsRows
  const guards: { unless: string; reason: GuardReason }[] = []
  if (isSingular) guards.push({ unless: 'pg_catalog.count(*) = 1', reason: 'PGRST116' })
  if (plan.maxAffected !== undefined)
    guards.push({
      unless: `pg_catalog.count(*) <= ${builder.bind(String(plan.maxAffected))}::bigint`,
      reason: 'PGRST124',
    })
  const isMerge = plan.mutation.kind === 'insert' && plan.mutation.conflict?.action === 'merge'
  if (!wantsRows && !wantsKey && guards.length === 0 && !isMerge) return renderMutation(builder, plan, '')

  const { relation } = plan.read
  const names = new Set<string>()
  if (wantsRows) for (const name of columnsRead(plan.read)) names.add(name)
  if (wantsKey) for (const name of relation.primaryKey) names.add(name)
  const returned = [...names].map((name) => `${WRITTEN}.${quoteIdentifier(name)}`)
  if (wantsRows && readsWholeRow(plan.read))
    returned.push(`(${WRITTEN}.*)::${builder.qualified(relation.name)} as ${ROW}`)
  let returning = ` returning ${returned.length === 0 ? '1' : returned.join(', ')}`
  if (plan.isPut) guards.push({ unless: 'pg_catalog.count(*) = 1', reason: 'PGRST115' })
  // A row that a merge updated was locked by it, which shows in xmax; views have no such column.
  const countsInserted = isMerge && relation.kind === 'table'
  if (countsInserted) returning += `, ${WRITTEN}.xmax = 0 as "\u0001inserted"`
  const mutation = renderMutation(builder, plan, returning)
  const checks = guards.map(
    ({ unless, reason }) =>
      `when not (${unless}) then ${renderGuard(builder, reason, 'pg_catalog.count(*)::text')}::text`,
  )
  const total =
    checks.length === 0 ? 'pg_catalog.count(*)::text' : `case ${checks.join(' ')} else pg_catalog.count(*)::text end`
  const key =
    wantsKey && relation.primaryKey.length > 0 ? `(select ${keyArray(relation.primaryKey)} from w limit 1)` : 'null'
  const body = wantsRows
    ? `(select ${renderBody(builder, accept, plan.read)} from (${renderRowsOf(builder, plan.read, 'w')}) r)`
    : "''"
  const inserted = countsInserted
    ? '(pg_catalog.count(*) filter (where w."\u0001inserted"))::text'
    : plan.isPut
      ? "'0'"
      : 'null'
  return `with w as (${mutation}) select ${total}, pg_catalog.count(*)::text, ${key}, ${body}, ${inserted} from w`
}

function keyArray(names: readonly string[]): string {
  return `pg_catalog.json_build_array(${names.map((name) => `${quoteIdentifier(name)}::text`).join(', ')})::text`
}
