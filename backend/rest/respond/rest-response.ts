import type { Outcome } from '../../postgres/statement.ts'
import type { CallPlan } from '../plan/plan-call.ts'
import type { RequestPlan } from '../plan/plan-request.ts'
import type { PlanMediaType } from '../request/plan-media-type.ts'
import { appliedPreferences } from '../request/preferences.ts'
import { unsatisfiable } from '../request/range.ts'
import type { RawRequest, RestRequest } from '../request/rest-request.ts'
import { RestError } from '../rest-error.ts'
import { singularError } from '../sql/guard.ts'

/** What is sent back. */
export type RestResponse = { status: number; headers: Record<string, string>; body: string }

/** The response to a read. @throws RestError PGRST103 or PGRST116 when the rows found are not what was asked for. */
export function respondToRead(
  raw: RawRequest,
  request: RestRequest,
  plan: Extract<RequestPlan, { kind: 'read' }>,
  outcome: Outcome,
): RestResponse {
  const [row = []] = outcome.rows
  const total = row[0] == null ? plan.estimatedTotal : Number(row[0])
  const pageTotal = Number(row[1] ?? 0)
  if (request.accept.kind === 'object' && pageTotal !== 1) throw singularError(String(pageTotal))
  const { offset } = plan.read
  const status = rangeStatus(offset, offset + pageTotal - 1, total)
  if (status === 416)
    throw unsatisfiable(`An offset of ${offset} was requested, but there are only ${total} rows.`, `*/${total}`)
  const headers: Record<string, string> = {
    'Content-Type': request.accept.contentType,
    'Content-Range': contentRange(offset, offset + pageTotal - 1, total),
    'Content-Location': contentLocation(raw, request),
  }
  const applied = appliedPreferences(request.preferences, ['count', 'tx', 'handling'])
  if (applied !== undefined) headers['Preference-Applied'] = applied
  return { status, headers, body: row[3] ?? '' }
}

/** The response to a call: the function may have chosen status and headers (`response.status`, `response.headers`). */
export function respondToCall(request: RestRequest, plan: CallPlan, outcome: Outcome): RestResponse {
  const [row = []] = outcome.rows
  const total = row[0] == null ? undefined : Number(row[0])
  const pageTotal = Number(row[1] ?? 0)
  const isSingular = request.accept.kind === 'object' && plan.callable.returnsSet
  if (isSingular && pageTotal !== 1) throw singularError(String(pageTotal))
  const offset = plan.read?.offset ?? 0
  const status = rangeStatus(offset, offset + pageTotal - 1, total)
  if (status === 416)
    throw unsatisfiable(`An offset of ${offset} was requested, but there are only ${total} rows.`, `*/${total}`)
  const isVoid = plan.callable.returns.kind === 'void'
  const headers: Record<string, string> = { 'Content-Range': contentRange(offset, offset + pageTotal - 1, total) }
  if (!isVoid) headers['Content-Type'] = request.accept.contentType
  const applied = appliedPreferences(request.preferences, ['count', 'tx', 'handling'])
  if (applied !== undefined) headers['Preference-Applied'] = applied
  for (const [name, value] of responseHeaders(row[6] ?? null)) headers[name] = value
  return { status: row[5] == null ? (isVoid ? 204 : status) : responseStatus(row[5]), headers, body: row[3] ?? '' }
}

function responseStatus(text: string): number {
  if (!/^[1-5]\d\d$/.test(text)) throw new RestError(500, 'PGRST112', 'response.status guc must be a valid status code')
  return Number(text)
}

/** `[{"Name": "value"}, ...]`; line breaks and control characters in a header are refused (RFC 9110 5.5). */
function responseHeaders(text: string | null): readonly (readonly [string, string])[] {
  if (text === null) return []
  const fault = () =>
    new RestError(
      500,
      'PGRST111',
      'response.headers guc must be a JSON array composed of objects with a single key and a string value',
    )
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch {
    throw fault()
  }
  if (!Array.isArray(list)) throw fault()
  return list.map((item: unknown) => {
    const [entry, ...more] = typeof item === 'object' && item !== null ? Object.entries(item) : []
    const isValid =
      entry !== undefined &&
      more.length === 0 &&
      /^[A-Za-z0-9-]+$/.test(entry[0]) &&
      /^[\t\x20-\x7e]*$/.test(String(entry[1]))
    if (!isValid || entry === undefined) throw fault()
    return [entry[0], String(entry[1])] as const
  })
}

/** The response to a write. */
export function respondToMutation(
  request: RestRequest,
  plan: Extract<RequestPlan, { kind: 'mutation' }>,
  outcome: Outcome,
): RestResponse {
  const { preferences } = request
  const [row] = outcome.rows
  const total = row === undefined ? outcome.affectedRows : Number(row[1] ?? 0)
  const hasBody = preferences.return === 'representation'
  const headers: Record<string, string> = {}
  const counted = preferences.count === undefined ? undefined : total
  if (!plan.isPut)
    headers['Content-Range'] =
      plan.mutation.kind === 'update' ? contentRange(0, total - 1, counted) : contentRange(1, 0, counted)
  if (hasBody) headers['Content-Type'] = request.accept.contentType
  if (plan.mutation.kind === 'insert' && !plan.isPut && row?.[2] != null && total === 1)
    headers.Location = location(request, plan.read.relation.primaryKey, row[2])
  const isUpsert = plan.mutation.kind === 'insert' && plan.mutation.conflict !== undefined && !plan.isPut
  const applied = appliedPreferences(preferences, [
    'return',
    'count',
    'tx',
    'handling',
    'maxAffected',
    ...(plan.mutation.kind === 'delete' || plan.isPut ? [] : (['missing'] as const)),
    ...(isUpsert ? (['resolution'] as const) : []),
  ])
  if (applied !== undefined) headers['Preference-Applied'] = applied
  const status = mutationStatus(request, plan, hasBody, row?.[4] == null ? undefined : Number(row[4]))
  return { status, headers, body: hasBody ? (row?.[3] ?? '') : '' }
}

/** The response to a request for a plan: what `explain` said. */
export function respondWithPlan(accept: PlanMediaType, outcome: Outcome): RestResponse {
  const lines = outcome.rows.map(([line]) => line ?? '')
  return { status: 200, headers: { 'Content-Type': accept.contentType }, body: lines.join('\n') }
}

/** The response for a fault in PostgREST's terms. */
export function respondToError(fault: RestError): RestResponse {
  return {
    status: fault.status,
    headers: { 'Content-Type': 'application/json; charset=utf-8', ...fault.headers },
    body: fault.toBody(),
  }
}

/** 201 when something was made; an upsert by merging that only changed rows, or a PUT that did, is 200. */
function mutationStatus(
  request: RestRequest,
  plan: Extract<RequestPlan, { kind: 'mutation' }>,
  hasBody: boolean,
  insertedRows: number | undefined,
): number {
  if (plan.isPut) return hasBody ? (insertedRows === 0 ? 200 : 201) : 204
  if (plan.mutation.kind !== 'insert') return hasBody ? 200 : 204
  return request.preferences.resolution === 'merge-duplicates' && insertedRows === 0 ? 200 : 201
}

function rangeStatus(lower: number, upper: number, total: number | undefined): number {
  if (total === undefined) return 200
  if (lower > total) return 416
  return 1 + upper - lower < total ? 206 : 200
}

function contentRange(lower: number, upper: number, total: number | undefined): string {
  const range = total !== 0 && lower <= upper ? `${lower}-${upper}` : '*'
  return `${range}/${total ?? '*'}`
}

function contentLocation(raw: RawRequest, request: RestRequest): string {
  if (request.parameters.length === 0) return raw.path
  const sorted =
    request.parameters.length === 1
      ? request.parameters
      : request.parameters.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return `${raw.path}?${sorted.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')}`
}

/** Where the row that was made is found: `/todos?id=eq.1`. */
function location(request: RestRequest, primaryKey: readonly string[], keyText: string): string {
  const values = JSON.parse(keyText) as readonly (string | null)[]
  const name = request.target.kind === 'relation' ? request.target.name : ''
  const filters = primaryKey.map((column, i) => {
    const value = values[i] ?? null
    return `${encode(column)}=${value === null ? 'is.null' : `eq.${encode(value)}`}`
  })
  return `/${encodeURIComponent(name)}?${filters.join('&')}`
}

const UNRESERVED = /^[A-Za-z0-9._~-]*$/

/** Percent-encoding as in PostgREST's URLs: everything but unreserved characters. */
function encode(text: string): string {
  if (UNRESERVED.test(text)) return text
  return encodeURIComponent(text.toWellFormed()).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
