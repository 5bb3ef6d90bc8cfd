import { LRUCache } from 'lru-cache'
import type { Clock } from '../runtime/clock.ts'
import type { ServiceVariables } from '../runtime/hono-service.ts'
import { Problem } from '../runtime/problem.ts'
import { CONTEXT_HEADER, type RequestContext, type RequestContextCodec } from '../tenancy/request-context.ts'
import { type Principal, principalOf } from './postgres/principal.ts'

/** What a route of ours finds in Hono's context. */
export type TenantVariables = ServiceVariables & { caller: Caller }

/** A request's verified context with what follows from it. */
export type Caller = { context: RequestContext; server: string; principal: Principal }

/**
 * Turns the signed context header into a caller: the one thing that this service believes. The gateway sends the same header
 * for a principal for half a minute, so a verified one is remembered under its whole text until it ends.
 */
export class RequestContexts {
  readonly #codec: RequestContextCodec
  readonly #clock: Clock
  readonly #onlyTenant: string | undefined
  readonly #verified = new LRUCache<string, Caller>({
    max: 20_000,
    maxSize: 64_000_000,
    sizeCalculation: (_, key) => key.length * 3,
  })

  /** By tenant id: the directory lists tenants by name. */
  readonly #names = new LRUCache<string, string>({ max: 20_000 })

  /** @param onlyTenant the one tenant that this process serves, if it is there for one alone. */
  constructor(codec: RequestContextCodec, clock: Clock, onlyTenant?: string) {
    this.#codec = codec
    this.#clock = clock
    this.#onlyTenant = onlyTenant
  }

  /** @throws Problem 401 `context_required` without a valid header, 421 `wrong_backend` for another's tenant, 503 `tenant_not_ready` without a placement. */
  read(headers: Readonly<Record<string, string | string[] | undefined>>): Caller {
    const token = headers[CONTEXT_HEADER]
    if (typeof token !== 'string') throw unauthorized()
    const nowMs = this.#clock.nowMs()
    const known = this.#verified.get(token)
    if (known !== undefined && known.context.expires_at > nowMs) return known
    const context = this.#verify(token, nowMs)
    if (context === undefined) throw unauthorized()
    if (this.#onlyTenant !== undefined && this.#onlyTenant !== context.tenant_id)
      throw new Problem(421, 'wrong_backend', { detail: 'This backend serves another tenant.' })
    if (context.placement === null)
      throw new Problem(503, 'tenant_not_ready', {
        detail: 'The database of this tenant is being made ready.',
        headers: { 'Retry-After': '1' },
      })
    const caller = { context, server: context.placement.server, principal: principalOf(context, context.placement) }
    this.#verified.set(token, caller)
    this.#names.set(context.tenant_id, context.name)
    return caller
  }

  /** The name under which a tenant was last asked for here. */
  nameOf(tenantId: string): string | undefined {
    return this.#names.get(tenantId)
  }

  #verify(token: string, nowMs: number): RequestContext | undefined {
    try {
      return this.#codec.verify(token, nowMs)
    } catch {
      return undefined
    }
  }
}

function unauthorized(): Problem {
  return new Problem(401, 'context_required', { detail: 'This service answers to the gateway only.' })
}
