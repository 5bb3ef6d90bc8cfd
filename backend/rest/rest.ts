import pg from 'pg'
import type { TenantRole } from '../../tenancy/request-context.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { Catalogues } from '../catalogue/catalogues.ts'
import type { Principal } from '../postgres/principal.ts'
import type { Server } from '../postgres/servers.ts'
import type { Outcome, Statement } from '../postgres/statement.ts'
import { findRelation, UnknownNameError } from './plan/names.ts'
import type { ReadLimits } from './plan/plan-read.ts'
import { planRequest, type RequestPlan } from './plan/plan-request.ts'
import { mayRunFunctions } from './plan/side-effects.ts'
import { fill, type ReadShape, ReadTemplates, readShape } from './read-templates.ts'
import { parseRequest, type RawRequest, type RestExtras, type RestRequest } from './request/rest-request.ts'
import { fromDatabaseError } from './respond/database-error.ts'
import { describeApi } from './respond/openapi.ts'
import {
  type RestResponse,
  respondToCall,
  respondToError,
  respondToMutation,
  respondToRead,
  respondWithPlan,
} from './respond/rest-response.ts'
import { RestError } from './rest-error.ts'
import { renderEstimate, renderRequest } from './sql/render-request.ts'

/** What a statement may do: `read-only` is enforced by Postgres, `write` is held to the storage quota. */
export type Access = 'read' | 'read-only' | 'write' | 'delete'

/** Runs a statement on behalf of a tenant, with its context in front and `epilogue` behind it. */
export type RunStatement = (statement: Statement, access: Access, epilogue?: readonly Statement[]) => Promise<Outcome>

export type RestOptions = { catalogues: Catalogues; limits: ReadLimits; extras: RestExtras }

/** For whom a request runs, and where. */
export type RestScope = { server: Server; principal: Principal; run: RunStatement }

/** Undoes all that was done, after the checks of a commit. In a pipeline's implicit transaction `rollback` ends that. */
const ROLLBACK: readonly Statement[] = ['set constraints all immediate', 'rollback'].map((text) => ({
  text,
  values: [],
  isEpilogue: true,
}))

/** SQLSTATEs by which Postgres says that our catalogue is out of date: undefined column, table, object. */
const STALE_CATALOGUE = new Set(['42703', '42P01', '42704'])

/**
 * The life of a request on `/rest/v1`: parse → plan → SQL → execute → respond. Faults in PostgREST's terms become its
 * response here; problems (busy, over quota) pass on to the edge.
 */
export class Rest {
  readonly #options: RestOptions
  readonly #templates = new ReadTemplates()

  constructor(options: RestOptions) {
    this.#options = options
  }

  async handle(raw: RawRequest, scope: RestScope): Promise<RestResponse> {
    try {
      const parameters = [...new URLSearchParams(raw.search)]
      const shape = readShape(raw, parameters)
      const repeated = shape === undefined ? undefined : await this.#repeat(raw, shape, scope)
      if (repeated !== undefined) return repeated
      const request = parseRequest(raw, parameters, this.#options.extras)
      if (request.target.kind === 'root') return await this.#describe(request, scope)
      if (request.method === 'OPTIONS') return await this.#allow(request, scope)
      const { plan, outcome } = await this.#planAndExecute(request, shape, scope)
      if (request.accept.kind === 'plan') return respondWithPlan(request.accept, outcome)
      switch (plan.kind) {
        case 'read':
          return respondToRead(raw, request, plan, outcome)
        case 'call':
          return respondToCall(request, plan, outcome)
        case 'mutation':
          return respondToMutation(request, plan, outcome)
      }
    } catch (fault) {
      return respondToError(asRestError(fault, scope.principal.schema, scope.principal.role))
    }
  }

  /** Answers a read whose shape was planned before on the catalogue of now; `undefined` when it has to be planned. */
  async #repeat(raw: RawRequest, shape: ReadShape, scope: RestScope): Promise<RestResponse | undefined> {
    const catalogue = this.#options.catalogues.peek(scope.server, scope.principal.schema)
    const template = catalogue === undefined ? undefined : this.#templates.find(catalogue, shape)
    if (template === undefined) return undefined
    let outcome: Outcome
    try {
      outcome = await scope.run(fill(template, shape), accessOf(template.plan))
    } catch (fault) {
      if (mayBeStale(fault)) return undefined
      throw fault
    }
    return respondToRead(raw, { ...template.request, parameters: shape.parameters }, template.plan, outcome)
  }

  /** Plans on the cached catalogue; where that does not know a name, or Postgres does not, once more on a fresh one. */
  async #planAndExecute(
    request: RestRequest,
    shape: ReadShape | undefined,
    scope: RestScope,
  ): Promise<{ plan: RequestPlan; outcome: Outcome }> {
    const { catalogues } = this.#options
    const cached = catalogues.peek(scope.server, scope.principal.schema)
    if (cached !== undefined) {
      try {
        return await this.#attempt(cached, request, shape, scope)
      } catch (fault) {
        if (!mayBeStale(fault)) throw fault
      }
    }
    return this.#attempt(await catalogues.getFresh(scope.server, scope.principal), request, shape, scope)
  }

  async #attempt(
    catalogue: Catalogue,
    request: RestRequest,
    shape: ReadShape | undefined,
    scope: RestScope,
  ): Promise<{ plan: RequestPlan; outcome: Outcome }> {
    const plan = await this.#estimate(request, planRequest(catalogue, request, this.#options.limits), scope)
    const statement = renderRequest(catalogue.schema, plan, request.accept, request.preferences)
    const isUndone = plan.kind !== 'read' && request.preferences.tx === 'rollback'
    const outcome = await scope.run(statement, accessOf(plan), isUndone ? ROLLBACK : [])
    if (plan.kind === 'read' && shape !== undefined && plan.estimatedTotal === undefined)
      if (request.preferences.count !== 'estimated')
        this.#templates.keep(catalogue, shape, { request, plan, statement })
    return { plan, outcome }
  }

  async #describe(request: RestRequest, scope: RestScope): Promise<RestResponse> {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      throw new RestError(405, 'PGRST117', `Unsupported HTTP method: ${request.method}`)
    const catalogue = await this.#options.catalogues.get(scope.server, scope.principal)
    return {
      status: 200,
      headers: { 'Content-Type': 'application/openapi+json; charset=utf-8' },
      body: JSON.stringify(describeApi(catalogue)),
    }
  }

  /** Adds the planner's row count where it was asked for; `estimated` counts small results exactly. */
  async #estimate(request: RestRequest, plan: RequestPlan, scope: RestScope): Promise<RequestPlan> {
    const { count } = request.preferences
    if (plan.kind !== 'read' || (count !== 'planned' && count !== 'estimated')) return plan
    const outcome = await scope.run(renderEstimate(scope.principal.schema, plan.read), 'read')
    const [explained] = JSON.parse(outcome.rows[0]?.[0] ?? '[]') as [{ Plan: { 'Plan Rows': number } }?]
    const rows = explained?.Plan['Plan Rows'] ?? 0
    const isSmall = count === 'estimated' && rows <= this.#options.limits.maxRows
    return isSmall ? plan : { ...plan, estimatedTotal: rows }
  }

  async #allow(request: RestRequest, scope: RestScope): Promise<RestResponse> {
    const headers: Record<string, string> = { 'Access-Control-Allow-Origin': '*' }
    if (request.target.kind === 'relation') {
      const catalogue = await this.#options.catalogues.get(scope.server, scope.principal)
      const relation = findRelation(catalogue, request.target.name)
      const methods = ['OPTIONS', 'GET', 'HEAD']
      if (relation.insertable) methods.push('POST')
      if (relation.insertable && relation.updatable && relation.primaryKey.length > 0) methods.push('PUT')
      if (relation.updatable) methods.push('PATCH')
      if (relation.deletable) methods.push('DELETE')
      headers.Allow = methods.join(',')
    }
    return { status: 200, headers, body: '' }
  }
}

function accessOf(plan: RequestPlan): Access {
  if (plan.kind === 'read') return mayRunFunctions(plan.read) ? 'read-only' : 'read'
  if (plan.kind === 'call') return plan.isReadOnly ? 'read-only' : 'write'
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
