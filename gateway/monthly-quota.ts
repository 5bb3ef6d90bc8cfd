import type { Clock } from '../runtime/clock.ts'
import { Problem } from '../runtime/problem.ts'
import type { Exchange } from './exchange.ts'

/** Admits at most `quota` requests of a tenant in a month, over all workers and gateways. */
export type QuotaKeeper = {
  /** True when the request is within the quota, and is counted; a refused one is not counted. @throws Problem 503 by policy. */
  take(tenantId: string, month: string, quota: number): boolean | Promise<boolean>
}

/** Step 5: the tenant's requests per month (UTC). What passes here is admitted: it will be recorded and billed. */
export function makeMonthlyQuota(keeper: QuotaKeeper, clock: Clock) {
  const month = new MonthOfTime()
  return function monthlyQuota(exchange: Exchange): Promise<void> | undefined {
    const tenant = exchange.tenant
    if (tenant === undefined) throw new Error('resolve comes before the quota')
    const quota = tenant.snapshot.quotas.api_requests_per_month
    if (quota === null) {
      exchange.admitted = true
      return undefined
    }
    const nowMs = clock.nowMs()
    const isWithin = keeper.take(tenant.snapshot.tenant_id, month.of(nowMs), quota)
    if (isWithin instanceof Promise) return isWithin.then((within) => apply(exchange, quota, within, nowMs))
    apply(exchange, quota, isWithin, nowMs)
    return undefined
  }
}

function apply(exchange: Exchange, quota: number, isWithin: boolean, nowMs: number): void {
  if (isWithin) {
    exchange.admitted = true
    return
  }
  const now = new Date(nowMs)
  const nextMonthMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)
  throw new Problem(429, 'quota_exceeded', {
    detail: `The ${quota} requests of this month are used up.`,
    headers: { 'Retry-After': String(Math.ceil((nextMonthMs - nowMs) / 1000)) },
  })
}

/** `YYYY-MM` of a moment, made once a month. */
class MonthOfTime {
  #text = ''
  #fromMs = 0
  #toMs = 0

  of(nowMs: number): string {
    if (nowMs < this.#fromMs || nowMs >= this.#toMs) {
      const now = new Date(nowMs)
      this.#fromMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1)
      this.#toMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)
      this.#text = now.toISOString().slice(0, 7)
    }
    return this.#text
  }
}
