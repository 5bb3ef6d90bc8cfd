import type { Catalogue, Column, Relation } from '../../catalogue/catalogue.ts'
import type { Payload } from '../request/payload.ts'
import { intersect, unsatisfiable } from '../request/range.ts'
import type { RestRequest } from '../request/rest-request.ts'
import { RestError } from '../rest-error.ts'
import { guardError } from '../sql/guard.ts'
import { findColumn, findRelation, findWrittenColumn } from './names.ts'
import type { Condition, Ordering, ReadPlan } from './plan.ts'
import { type CallPlan, planCall } from './plan-call.ts'
import { planRead, type ReadLimits } from './plan-read.ts'

export type Conflict = { action: 'merge' | 'ignore'; target: readonly Column[] }

export type Mutation =
  | {
      kind: 'insert'
      columns: readonly Column[]
      payload: Payload
      conflict: Conflict | undefined
      missingAsDefault: boolean
    }
  | { kind: 'update'; columns: readonly Column[]; payload: Payload; missingAsDefault: boolean }
  | { kind: 'delete' }

export type RequestPlan =
  | {
      kind: 'read'
      read: ReadPlan
      isHead: boolean
      /** The number of rows as Postgres plans it, where that was asked for instead of a count. */
      estimatedTotal?: number
    }
  | CallPlan
  | {
      kind: 'mutation'
      mutation: Mutation
      /** Which rows an update or delete is about. */
      conditions: readonly Condition[]
      limited: { order: readonly Ordering[]; limit: number | undefined; offset: number } | undefined
      /** How the rows that were written are given back; `undefined` when they are not. */
      read: ReadPlan
      /** Fails unless exactly one row is given / at most so many were written. */
      maxAffected: number | undefined
      isPut: boolean
    }

/** Resolves a request on a relation or a function. @throws RestError. */
export function planRequest(catalogue: Catalogue, request: RestRequest, limits: ReadLimits): RequestPlan {
  if (request.target.kind === 'function') return planCall(catalogue, request, limits)
  if (request.target.kind !== 'relation') throw new Error('unreachable')
  const relation = findRelation(catalogue, request.target.name)
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return {
        kind: 'read',
        read: withRange(planRead(catalogue, relation, request.query, limits), request),
        isHead: request.method === 'HEAD',
      }
    case 'POST':
    case 'PATCH':
    case 'DELETE':
    case 'PUT':
      return planMutation(catalogue, relation, request, limits)
    default:
      throw new RestError(405, 'PGRST117', `Unsupported HTTP method: ${request.method}`)
  }
}

/** The rows of `limit` and `offset` that the `Range` header asks for too. */
function withRange(read: ReadPlan, request: RestRequest): ReadPlan {
  for (const { path, value } of request.query.limits)
    if (path.length === 0 && value < 0) throw unsatisfiable('Limit should be greater than or equal to zero.')
  if (request.range === undefined) return read
  return { ...read, ...intersect({ offset: read.offset, limit: read.limit }, request.range) }
}

function planMutation(catalogue: Catalogue, relation: Relation, request: RestRequest, limits: ReadLimits): RequestPlan {
  const { query, preferences } = request
  const read = planRead(catalogue, relation, query, { ...limits, maxRows: Number.MAX_SAFE_INTEGER })
  const hasRange = [...query.limits, ...query.offsets].some(({ path }) => path.length === 0)
  const isPut = request.method === 'PUT'
  if (isPut) checkPut(relation, request, hasRange)
  const isLimitable = request.method === 'PATCH' || request.method === 'DELETE'
  if (isLimitable && hasRange && read.order.length === 0)
    throw new RestError(400, 'PGRST109', "A 'limit' was applied without an explicit 'order'", {
      hint: "Apply an 'order' using unique column(s)",
    })
  return {
    kind: 'mutation',
    mutation: planWrite(relation, request),
    conditions: read.conditions,
    limited:
      isLimitable && hasRange
        ? {
            order: read.order,
            limit: read.limit === Number.MAX_SAFE_INTEGER ? undefined : read.limit,
            offset: read.offset,
          }
        : undefined,
    read: { ...read, limit: undefined, offset: 0, order: isPut ? [] : read.order },
    maxAffected: preferences.handling === 'strict' ? preferences.maxAffected : undefined,
    isPut,
  }
}

function planWrite(relation: Relation, request: RestRequest): Mutation {
  const { query, preferences, payload } = request
  if (request.method === 'DELETE') return { kind: 'delete' }
  if (payload === undefined) throw new Error('unreachable')
  const names = query.columns ?? payload.keys
  const columns = names.map((name) => findWrittenColumn(relation, name))
  const missingAsDefault = preferences.missing === 'default'
  if (request.method === 'PATCH') return { kind: 'update', columns, payload, missingAsDefault }
  return { kind: 'insert', columns, payload, missingAsDefault, conflict: planConflict(relation, request) }
}

function planConflict(relation: Relation, request: RestRequest): Conflict | undefined {
  const resolution = request.method === 'PUT' ? 'merge-duplicates' : request.preferences.resolution
  if (resolution === undefined) return undefined
  const names = request.query.onConflict ?? relation.primaryKey
  if (names.length === 0) return undefined
  return {
    action: resolution === 'merge-duplicates' ? 'merge' : 'ignore',
    target: names.map((name) => findColumn(relation, name)),
  }
}

/** PUT is about one row, named by `eq` on the whole primary key and nothing else (RFC 9110 9.3.4). */
function checkPut(relation: Relation, request: RestRequest, hasRange: boolean): void {
  if (hasRange) throw new RestError(400, 'PGRST114', 'limit/offset querystring parameters are not allowed for PUT')
  const names = new Set<string>()
  for (const { path, value } of request.query.conditions) {
    const isKeyEquality =
      path.length === 0 &&
      value.kind === 'filter' &&
      value.filter.operation.kind === 'binary' &&
      value.filter.operation.operator === 'eq' &&
      value.filter.operation.quantifier === undefined &&
      value.filter.field.path.length === 0 &&
      !value.filter.negated
    if (!isKeyEquality || value.kind !== 'filter') throw invalidPutFilters()
    names.add(value.filter.field.name)
  }
  const written = request.query.columns ?? request.payload?.keys ?? []
  const isWholeKey = names.size === relation.primaryKey.length && relation.primaryKey.every((name) => names.has(name))
  if (names.size === 0 || !isWholeKey) throw invalidPutFilters()
  if (!relation.primaryKey.every((name) => written.includes(name))) throw guardError('PGRST115', '')
}

function invalidPutFilters(): RestError {
  return new RestError(405, 'PGRST105', "Filters must include all and only primary key columns with 'eq' operators")
}
