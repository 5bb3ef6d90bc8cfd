import type { Clock } from '../../runtime/clock.ts'
import type { RedisClient } from '../../runtime/redis.ts'
import { quotaKey } from '../../tenancy/quota-counter.ts'

export type RemoveCounters = (tenantId: string) => Promise<void>

/** Counters are kept for 40 days: the month before may still have one. */
const KEPT_MS = 40 * 86_400_000

/** Removes a tenant's counters of requests from Redis. @returns what does it; it throws while Redis is away. */
export function makeRemoveCounters(redis: RedisClient, clock: Clock): RemoveCounters {
  return async (tenantId) => {
    const months = [0, KEPT_MS / 2, KEPT_MS].map((ago) => new Date(clock.nowMs() - ago).toISOString().slice(0, 7))
    await redis.del(...new Set(months.map((month) => quotaKey(tenantId, month))))
  }
}
