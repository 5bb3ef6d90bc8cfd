import { quoteIdentifier } from '../../postgres/quote.ts'
import type { CallPlan } from '../plan/plan-call.ts'
import type { MediaType } from '../request/media-type.ts'
import type { Preferences } from '../request/preferences.ts'
import { renderBody } from './render-body.ts'
import { ROW, readsWholeRow, renderRowsFrom, renderUnrangedFrom } from './render-read.ts'
import type { SqlBuilder } from './sql-builder.ts'

/** What a function may have said about its response, by `set_config('response.status', ...)`. */
const RESPONSE_SETTINGS = `nullif(current_setting('response.status', true), ''), nullif(current_setting('response.headers', true), '')`

/** A function's call: its arguments are one bound JSON value, its result is read like a relation's rows. */
export function renderCall(builder: SqlBuilder, plan: CallPlan, accept: MediaType, preferences: Preferences): string {
  const { callable, read } = plan
  const call = renderInvocation(builder, plan)
  if (read === undefined) {
    const rows = `with f as (select c.v as v from ${call} as c(v))`
    if (callable.returns.kind === 'void') return `${rows} select null, '1', null, '', null, ${RESPONSE_SETTINGS} from f`
    const all = 'pg_catalog.json_agg(f.v)'
    const body = callable.returnsSet ? `coalesce(${all}::text, '[]')` : `coalesce((${all} -> 0)::text, 'null')`
    return `${rows} select ${preferences.count === undefined ? 'null' : 'pg_catalog.count(*)::text'}, pg_catalog.count(*)::text, null, ${body}, null, ${RESPONSE_SETTINGS} from f`
  }
  const rows = renderRowsFrom(builder, read, 'f')
  const total =
    preferences.count === undefined
      ? 'null'
      : `(select pg_catalog.count(*) from (${renderUnrangedFrom(builder, read, 'f')}) c)::text`
  const row = readsWholeRow(read) ? `, (c.*)::${builder.qualified(read.relation.name)} as ${ROW}` : ''
  const single: MediaType = { kind: 'object', stripNulls: false, contentType: '' }
  const body = renderBody(builder, callable.returnsSet || accept.kind === 'csv' ? accept : single, read)
  return `with f as (select c.*${row} from ${call} as c) select ${total}, pg_catalog.count(*)::text, null, ${body}, null, ${RESPONSE_SETTINGS} from (${rows}) r`
}

function renderInvocation(builder: SqlBuilder, plan: CallPlan): string {
  const name = builder.qualified(plan.callable.name)
  const [unnamed] = plan.passed
  if (plan.passed.length === 0) return `${name}()`
  if (unnamed?.name === '') return `${name}(${builder.bind(plan.json)}::${unnamed.type})`
  const typed = plan.passed.map((argument) => `${quoteIdentifier(argument.name)} ${argument.type}`)
  const values = plan.passed.map(
    ({ name: argument, isVariadic }) =>
      `${isVariadic ? 'variadic ' : ''}${quoteIdentifier(argument)} := a.${quoteIdentifier(argument)}`,
  )
  return `pg_catalog.json_to_record(${builder.bind(plan.json)}::json) as a(${typed.join(', ')}), lateral ${name}(${values.join(', ')})`
}
