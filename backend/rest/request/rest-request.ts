import type { ParsedQuery } from '../grammar/ast.ts'
import { parseQueryString } from '../grammar/query-string.ts'
import { RestError } from '../rest-error.ts'
import { type MediaType, parseAccept } from './media-type.ts'
import { type Payload, parsePayload } from './payload.ts'
import { type Preferences, parsePreferences } from './preferences.ts'
import { parseRange, type RowRange } from './range.ts'

/** A request of HTTP as it reaches us, its body read. */
export type RawRequest = {
  method: string
  /** The path below `/rest/v1`, still percent-encoded, such as `/todos`. */
  path: string
  /** What follows the question mark. */
  search: string
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: string
}

export type Target = { kind: 'root' } | { kind: 'relation'; name: string } | { kind: 'function'; name: string }

/** The request as the grammar reads it; nothing in it has been checked against the catalogue yet. */
export type RestRequest = {
  method: string
  target: Target
  parameters: readonly (readonly [string, string])[]
  query: ParsedQuery
  preferences: Preferences
  accept: MediaType
  range: RowRange | undefined
  /** The rows of a POST, PATCH or PUT on a relation. */
  payload: Payload | undefined
  /** The body of a call. */
  callBody: string | undefined
}

const WRITES = new Set(['POST', 'PATCH', 'PUT'])

/** What the operator lets requests ask for: `Accept: application/vnd.pgrst.plan`, `Prefer: tx=rollback`. Both are off by default. */
export type RestExtras = { plans: boolean; txOverride: boolean }

/** Parses everything that a request says. @throws RestError. */
export function parseRequest(raw: RawRequest, parameters: RestRequest['parameters'], extras: RestExtras): RestRequest {
  const target = parsePath(raw.path)
  checkProfile(raw)
  const isRead = raw.method === 'GET' || raw.method === 'HEAD'
  const query = parseQueryString(target.kind === 'relation' ? parameters : [])
  return {
    method: raw.method,
    target,
    parameters,
    query,
    preferences: parsePreferences(header(raw, 'prefer'), extras.txOverride),
    accept: parseAccept(header(raw, 'accept'), extras.plans),
    range: isRead ? parseRange(header(raw, 'range')) : undefined,
    payload:
      target.kind === 'relation' && WRITES.has(raw.method)
        ? parsePayload(header(raw, 'content-type'), raw.body, query.columns !== undefined)
        : undefined,
    callBody: target.kind === 'function' ? callBody(raw) : undefined,
  }
}

function parsePath(path: string): Target {
  const segments = path.split('/').filter((segment) => segment !== '')
  let names: string[]
  try {
    names = segments.map((segment) => decodeURIComponent(segment))
  } catch {
    throw new RestError(400, 'PGRST125', 'Invalid path specified in request URL')
  }
  const [first, second] = names
  if (first === undefined) return { kind: 'root' }
  if (second === undefined) return { kind: 'relation', name: first }
  if (first === 'rpc' && names.length === 2) return { kind: 'function', name: second }
  throw new RestError(404, 'PGRST125', 'Invalid path specified in request URL')
}

/** The arguments of a call as JSON text; a form's fields are texts. */
function callBody(raw: RawRequest): string {
  const type = header(raw, 'content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') return raw.body
  return JSON.stringify(Object.fromEntries(new URLSearchParams(raw.body)))
}

/** There is one schema, and clients may call it `public`. */
function checkProfile(raw: RawRequest): void {
  const isRead = raw.method === 'GET' || raw.method === 'HEAD'
  const profile = header(raw, isRead ? 'accept-profile' : 'content-profile')
  if (profile !== undefined && profile !== 'public')
    throw new RestError(406, 'PGRST106', 'The schema must be one of the following: public')
}

function header(raw: RawRequest, name: string): string | undefined {
  const value = raw.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}
