import pg from 'pg'
import type { TenantRole } from '../../tenancy/request-context.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { Catalogues } from '../catalogue/catalogues.ts'
import type { Principal } from '../postgres/principal.ts'
import type { Server } from '../postgres/servers.ts'
import type { Outcome, Statement } from '../postgres/statement.ts'
import { UnknownNameError } from './plan/names.ts'
import type { ReadLimits } from './plan/plan-read.ts'
import { planRequest, type RequestPlan } from './plan/plan-request.ts'
import { parseRequest, type RawRequest, type RestRequest } from './request/rest-request.ts'
import { fromDatabaseError } from './respond/database-error.ts'
import { type RestResponse, respondToError, respondToMutation, respondToRead } from './respond/rest-response.ts'
import { RestError } from './rest-error.ts'
import { renderRequest } from './sql/render-request.ts'

/** Runs a statement on behalf of a tenant: with its context in front, and its storage quota watched when it writes. */
export type RunStatement = (statement: Statement, access: 'read' | 'write' | 'delete') => Promise<Outcome>

export type RestOptions = { catalogues: Catalogues; limits: ReadLimits }

/** For whom a request runs, and where. */
export type RestScope = { server: Server; principal: Principal; run: RunStatement }

/** SQLSTATEs by which Postgres says that our catalogue is out of date: undefined column, table, object. */
const STALE_CATALOGUE = new Set(['42703', '42P01', '42704'])

/**
 * The life of a request on `/rest/v1`: parse → plan → SQL → execute → respond. Faults in PostgREST's terms become its
 * response here; problems (busy, over quota) pass on to the edge.
 */
export class Rest {
  readonly #options: RestOptions

  constructor(options: RestOptions) {
    this.#options = options
  }

  async handle(raw: RawRequest, scope: RestScope): Promise<RestResponse> {
    try {
      const request = parseRequest(raw)
      if (request.method === 'OPTIONS') return await this.#options204(request, scope)
      const { plan, outcome } = await this.#planAndExecute(request, scope)
      return plan.kind === 'read'
        ? respondToRead(raw, request, plan, outcome)
        : respondToMutation(request, plan, outcome)
    } catch (fault) {
      return respondToError(asRestError(fault, scope.principal.schema, scope.principal.role))
    }
  }

  /** Plans on the cached catalogue; where that does not know a name, or Postgres does not, once more on a fresh one. */
  async #planAndExecute(request: RestRequest, scope: RestScope): Promise<{ plan: RequestPlan; outcome: Outcome }> {
    const { catalogues } = this.#options
    const cached = catalogues.peek(scope.server, scope.principal.schema)
    if (cached !== undefined) {
      try {
        return await this.#attempt(cached, request, scope)
      } catch (fault) {
        if (!mayBeStale(fault)) throw fault
      }
    }
    return this.#attempt(await catalogues.getFresh(scope.server, scope.principal), request, scope)
  }

  async #attempt(
    catalogue: Catalogue,
    request: RestRequest,
    scope: RestScope,
  ): Promise<{ plan: RequestPlan; outcome: Outcome }> {
    const plan = planRequest(catalogue, request, this.#options.limits)
    const statement = renderRequest(catalogue.schema, plan, request.accept, request.preferences)
    return { plan, outcome: await scope.run(statement, accessOf(plan)) }
  }

  async #options204(request: RestRequest, scope: RestScope): Promise<RestResponse> {
    const headers: Record<string, string> = { 'Access-Control-Allow-Origin': '*' }
    if (request.target.kind === 'relation') {
      const catalogue = await this.#options.catalogues.get(scope.server, scope.principal)
      const relation = catalogue.relations.get(request.target.name)
      const methods = ['OPTIONS', 'GET', 'HEAD']
      if (relation?.insertable === true) methods.push('POST')
      if (relation?.insertable === true && relation.updatable && relation.primaryKey.length > 0) methods.push('PUT')
      if (relation?.updatable === true) methods.push('PATCH')
      if (relation?.deletable === true) methods.push('DELETE')
      headers.Allow = methods.join(',')
    }
    return { status: 200, headers, body: '' }
  }
}

function accessOf(plan: RequestPlan): 'read' | 'write' | 'delete' {
  if (plan.kind === 'read') return 'read'
  return plan.mutation.kind === 'delete' ? 'delete' : 'write'
}

function mayBeStale(fault: unknown): boolean {
  if (fault instanceof UnknownNameError) return true
  return fault instanceof pg.DatabaseError && STALE_CATALOGUE.has(fault.code ?? '')
}

function asRestError(fault: unknown, schema: string, role: TenantRole): RestError {
  if (fault instanceof RestError) return fault
  if (fault instanceof pg.DatabaseError) return fromDatabaseError(fault, schema, role)
  throw fault
}
