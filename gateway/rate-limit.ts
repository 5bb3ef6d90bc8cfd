import { Problem } from '../runtime/problem.ts'
import type { Exchange } from './exchange.ts'

/** What a rate limiter says of one request. */
export type RateDecision = {
  admitted: boolean
  /** Requests left in the window, as far as this worker knows. */
  remaining: number
  /** Until a request is admitted again (refused), or until the whole limit is there again (admitted); milliseconds. */
  resetMs: number
}

/** Admits at most `limit` requests of a tenant in any window of one second, over all workers and gateways. */
export type RateLimiter = {
  take(tenantId: string, limit: number): RateDecision | Promise<RateDecision>
}

/** Step 3: the tenant's requests per second. */
export function makeRateLimit(limiter: RateLimiter) {
  return function rateLimit(exchange: Exchange): Promise<void> | undefined {
    const tenant = exchange.tenant
    if (tenant === undefined) throw new Error('resolve comes before the rate limit')
    const limit = tenant.snapshot.quotas.requests_per_second
    if (limit === null) return undefined
    const decision = limiter.take(tenant.snapshot.tenant_id, limit)
    if (decision instanceof Promise) return decision.then((decided) => apply(exchange, limit, decided))
    apply(exchange, limit, decision)
    return undefined
  }
}

function apply(exchange: Exchange, limit: number, decision: RateDecision): void {
  addRateFields(exchange.responseHeaders, limit, decision.remaining, decision.resetMs)
  if (decision.admitted) return
  throw new Problem(429, 'rate_limited', {
    detail: `This tenant may make ${limit} requests per second.`,
    headers: { 'Retry-After': String(Math.max(1, Math.ceil(decision.resetMs / 1000))) },
  })
}

/** Values that repeat endlessly, made once: `RateLimit-Policy` by limit. */
const policies = new Map<number, string>()

/**
 * `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers-10 (`q` quota, `w` window in seconds, `r`
 * remaining, `t` seconds until there is more), and the legacy fields, whose reset is in seconds from now.
 */
export function addRateFields(into: string[], limit: number, remaining: number, resetMs: number): void {
  let policy = policies.get(limit)
  if (policy === undefined) {
    policy = `"second";q=${limit};w=1`
    if (policies.size >= 1_000) policies.clear()
    policies.set(limit, policy)
  }
  const resetS = Math.max(1, Math.ceil(resetMs / 1000))
  into.push(
    'RateLimit-Policy',
    policy,
    'RateLimit',
    `"second";r=${remaining};t=${resetS}`,
    'X-RateLimit-Limit',
    String(limit),
    'X-RateLimit-Remaining',
    String(remaining),
    'X-RateLimit-Reset',
    String(resetS),
  )
}
