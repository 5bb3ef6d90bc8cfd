import { Problem } from '../runtime/problem.ts'
import type { Exchange } from './exchange.ts'
import type { KeyLimit } from './principal.ts'

/** What a rate limiter says of one request. */
export type RateDecision = {
  admitted: boolean
  /** Requests left in the window, as far as this worker knows. */
  remaining: number
  /** Until a request is admitted again (refused), or until the whole limit is there again (admitted); milliseconds. */
  resetMs: number
  /** When it counts from (monotonic), to take it back by; 0 when nothing was taken. */
  takenAtMs: number
}

/** Admits at most `limit` requests of a tenant or a key (`id`) in any window of one second, over all workers and gateways. */
export type RateLimiter = {
  take(id: string, limit: number): RateDecision | Promise<RateDecision>
  /** What is known of a limit, without taking anything; `admitted` is false while it is known that nothing is free. */
  look(id: string, limit: number): RateDecision
  /** Undoes what `take` admitted: the request went no further. */
  takeBack(id: string, takenAtMs: number): void
}

/** Step 3: the tenant's requests per second, and before them those of the key, if it has a limit of its own. */
export function makeRateLimit(limiter: RateLimiter) {
  return function rateLimit(exchange: Exchange): Promise<void> | undefined {
    const { tenant, principal } = exchange
    if (tenant === undefined) throw new Error('resolve comes before the rate limit')
    const limit = tenant.snapshot.quotas.requests_per_second
    const key = principal?.keyLimit ?? null
    if (key !== null) return limitKey(limiter, exchange, key, tenant.snapshot.tenant_id, limit)
    if (limit === null) return undefined
    const decision = limiter.take(tenant.snapshot.tenant_id, limit)
    if (decision instanceof Promise) return decision.then((decided) => apply(exchange, limit, decided))
    apply(exchange, limit, decision)
    return undefined
  }
}

function apply(exchange: Exchange, limit: number, decision: RateDecision): void {
  addRateFields(exchange.responseHeaders, { limit, ...seen(decision) }, undefined)
  if (!decision.admitted) throw tenantRefusal(limit, decision)
}

/**
 * A request counts against both limits or against neither. The key's is asked first: a key over its own limit is refused
 * without touching what the tenant's other keys share. A tenant that is known to be at its limit is not taken from the key.
 */
function limitKey(
  limiter: RateLimiter,
  exchange: Exchange,
  key: KeyLimit,
  tenantId: string,
  limit: number | null,
): Promise<void> | undefined {
  if (limit !== null) {
    const tenant = limiter.look(tenantId, limit)
    if (!tenant.admitted) return refuse(tenant, limiter.look(key.id, key.limit), false)
  }
  const byKey = limiter.take(key.id, key.limit)
  return byKey instanceof Promise ? byKey.then(afterKey) : afterKey(byKey)

  function afterKey(taken: RateDecision): Promise<void> | undefined {
    if (!taken.admitted) return refuse(limit === null ? undefined : limiter.look(tenantId, limit), taken, true)
    if (limit === null) {
      addRateFields(exchange.responseHeaders, undefined, { limit: key.limit, ...seen(taken) })
      return undefined
    }
    const byTenant = limiter.take(tenantId, limit)
    return byTenant instanceof Promise
      ? byTenant.then((decided) => afterBoth(taken, decided, limit))
      : afterBoth(taken, byTenant, limit)
  }

  function afterBoth(byKey: RateDecision, byTenant: RateDecision, limit: number): undefined {
    if (!byTenant.admitted) {
      limiter.takeBack(key.id, byKey.takenAtMs)
      return refuse(byTenant, { ...byKey, remaining: byKey.remaining + 1 }, false)
    }
    addRateFields(exchange.responseHeaders, { limit, ...seen(byTenant) }, { limit: key.limit, ...seen(byKey) })
  }

  function refuse(byTenant: RateDecision | undefined, byKey: RateDecision, isKeys: boolean): never {
    const ofTenant = byTenant === undefined || limit === null ? undefined : { limit, ...seen(byTenant) }
    addRateFields(exchange.responseHeaders, ofTenant, { limit: key.limit, ...seen(byKey) })
    if (!isKeys && byTenant !== undefined && limit !== null) throw tenantRefusal(limit, byTenant)
    throw refusalOf(`This key may make ${key.limit} requests per second.`, byKey)
  }
}

function tenantRefusal(limit: number, decision: RateDecision): Problem {
  return refusalOf(`This tenant may make ${limit} requests per second.`, decision)
}

function refusalOf(detail: string, { resetMs }: RateDecision): Problem {
  return new Problem(429, 'rate_limited', {
    detail,
    headers: { 'Retry-After': String(Math.max(1, Math.ceil(resetMs / 1000))) },
  })
}

/** A limit as the client is told of it. */
type SeenLimit = { limit: number; remaining: number; resetS: number }

function seen({ remaining, resetMs }: RateDecision): { remaining: number; resetS: number } {
  return { remaining, resetS: Math.max(1, Math.ceil(resetMs / 1000)) }
}

/** Values that repeat endlessly, made once: `RateLimit-Policy` by limit. */
const policies = new Map<number, string>()

function policyOf(limit: number): string {
  let policy = policies.get(limit)
  if (policy === undefined) {
    policy = `"second";q=${limit};w=1`
    if (policies.size >= 1_000) policies.clear()
    policies.set(limit, policy)
  }
  return policy
}

/**
 * `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers-10 (a list of policies, each with `q` quota,
 * `w` window in seconds; `r` remaining, `t` seconds until there is more): `second` is the tenant's, `key` the key's. And
 * the legacy fields, which know one limit: the one of which less is left; their reset is in seconds from now.
 */
function addRateFields(into: string[], tenant: SeenLimit | undefined, key: SeenLimit | undefined): void {
  let policy = tenant === undefined ? '' : policyOf(tenant.limit)
  let state = tenant === undefined ? '' : `"second";r=${tenant.remaining};t=${tenant.resetS}`
  let tighter = tenant
  if (key !== undefined) {
    const separator = tenant === undefined ? '' : ', '
    policy += `${separator}"key";q=${key.limit};w=1`
    state += `${separator}"key";r=${key.remaining};t=${key.resetS}`
    if (tighter === undefined || key.remaining <= tighter.remaining) tighter = key
  }
  if (tighter === undefined) return
  into.push(
    'RateLimit-Policy',
    policy,
    'RateLimit',
    state,
    'X-RateLimit-Limit',
    String(tighter.limit),
    'X-RateLimit-Remaining',
    String(tighter.remaining),
    'X-RateLimit-Reset',
    String(tighter.resetS),
  )
}
