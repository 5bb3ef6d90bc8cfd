import { quoteIdentifier } from '../../postgres/quote.ts'
import type { Statement } from '../../postgres/statement.ts'
import type { ReadPlan } from '../plan/plan.ts'
import type { RequestPlan } from '../plan/plan-request.ts'
import type { MediaType } from '../request/media-type.ts'
import type { Preferences } from '../request/preferences.ts'
import { type GuardReason, renderGuard } from './guard.ts'
import { renderMutation, WRITTEN } from './render-mutation.ts'
import { columnsRead, renderRows, renderRowsOf, renderUnranged } from './render-read.ts'
import { SqlBuilder } from './sql-builder.ts'

/**
 * The statement of a plan. It gives one row: the total (or null), the number of rows of the page, the values of the primary
 * key of a single written row (or null), and the body as text; or no row where only the number of rows written matters.
 */
export function renderRequest(
  schema: string,
  plan: RequestPlan,
  accept: MediaType,
  preferences: Preferences,
): Statement {
  const builder = new SqlBuilder(schema)
  const text =
    plan.kind === 'read'
      ? readText(builder, plan, accept, preferences)
      : mutationText(builder, plan, accept, preferences)
  return { text, values: builder.values }
}

function readText(
  builder: SqlBuilder,
  plan: Extract<RequestPlan, { kind: 'read' }>,
  accept: MediaType,
  preferences: Preferences,
): string {
  const rows = renderRows(builder, plan.read)
  const total =
    preferences.count === undefined
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
  if (!wantsRows && !wantsKey && guards.length === 0 && !plan.isPut) return renderMutation(builder, plan, '')

  const { relation } = plan.read
  const names = new Set<string>()
  if (wantsRows) for (const name of columnsRead(plan.read)) names.add(name)
  if (wantsKey || plan.isPut) for (const name of relation.primaryKey) names.add(name)
  const returned = [...names].map((name) => `${WRITTEN}.${quoteIdentifier(name)}`)
  let returning = ` returning ${returned.length === 0 ? '1' : returned.join(', ')}`
  if (plan.isPut) {
    guards.push({ unless: 'pg_catalog.count(*) = 1 and pg_catalog.bool_and(w."\u0001matches")', reason: 'PGRST115' })
    returning += `, ${putMatches(builder, plan)} as "\u0001matches"`
  }
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
  return `with w as (${mutation}) select ${total}, pg_catalog.count(*)::text, ${key}, ${body} from w`
}

/** Whether the written row is the one that the URL of a PUT names. */
function putMatches(builder: SqlBuilder, plan: Extract<RequestPlan, { kind: 'mutation' }>): string {
  const tests = plan.conditions.flatMap((condition) =>
    condition.kind === 'filter' && condition.operation.kind === 'binary'
      ? [`${WRITTEN}.${quoteIdentifier(condition.source.column.name)} = ${builder.bind(condition.operation.value)}`]
      : [],
  )
  return `(${tests.join(' and ')})`
}

function keyArray(names: readonly string[]): string {
  return `pg_catalog.json_build_array(${names.map((name) => `${quoteIdentifier(name)}::text`).join(', ')})::text`
}

/** The body over the rows `r`. */
function renderBody(builder: SqlBuilder, accept: MediaType, read: ReadPlan): string {
  switch (accept.kind) {
    case 'object': {
      const rows = accept.stripNulls ? 'pg_catalog.json_strip_nulls(pg_catalog.json_agg(r))' : 'pg_catalog.json_agg(r)'
      return `coalesce((${rows} -> 0)::text, 'null')`
    }
    case 'csv': {
      const header = csvHeader(read)
      return `${builder.bind(header)}::text || coalesce(pg_catalog.string_agg(pg_catalog.substring(r::text, 2, pg_catalog.length(r::text) - 2), E'\\n'), '')`
    }
    case 'openapi':
    case 'json': {
      const isStripped = accept.kind === 'json' && accept.stripNulls
      const rows = isStripped ? 'pg_catalog.json_strip_nulls(pg_catalog.json_agg(r))' : 'pg_catalog.json_agg(r)'
      return `coalesce((${rows})::text, '[]')`
    }
  }
}

function csvHeader(read: ReadPlan): string {
  const names = read.outputs.map((output) => (output.kind === 'embed' ? output.embed.name : output.name))
  return `${names.join(',')}\n`
}
