import type { Logger } from '../runtime/log.ts'
import type { RedisClient } from '../runtime/redis.ts'
import type { AwayPolicy } from './config.ts'
import type { RateDecision, RateLimiter } from './rate-limit.ts'
import { RedisScript } from './redis-script.ts'

/** KEYS: the log. ARGV: limit, wanted. Answers { granted, used after, microseconds until the oldest leaves the window }. */
const TAKE = new RedisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit, wanted = tonumber(ARGV[1]), tonumber(ARGV[2])
while true do
  local oldest = redis.call('LINDEX', KEYS[1], 0)
  if not oldest or tonumber(oldest) > now - 1000000 then break end
  redis.call('LPOP', KEYS[1])
end
local used = redis.call('LLEN', KEYS[1])
local granted = math.max(0, math.min(wanted, limit - used))
for i = 1, granted do redis.call('RPUSH', KEYS[1], now) end
if granted > 0 then redis.call('PEXPIRE', KEYS[1], 2000) end
local oldest = redis.call('LINDEX', KEYS[1], 0)
return { granted, used + granted, oldest and (tonumber(oldest) + 1000000 - now) or 0 }
`)

type Waiting = { limit: number; resolve: ((decision: RateDecision) => void)[] }

/** One exact sliding log per tenant in Redis; the requests of one event-loop turn are decided together. */
export class SlidingLogLimiter implements RateLimiter {
  readonly #redis: RedisClient
  readonly #whenAway: AwayPolicy
  readonly #log: Logger
  readonly #waiting = new Map<string, Waiting>()

  constructor(options: { redis: RedisClient; whenAway: AwayPolicy; log: Logger }) {
    this.#redis = options.redis
    this.#whenAway = options.whenAway
    this.#log = options.log
  }

  take(tenantId: string, limit: number): Promise<RateDecision> {
    return new Promise((resolve) => {
      let waiting = this.#waiting.get(tenantId)
      if (waiting === undefined) {
        waiting = { limit, resolve: [] }
        this.#waiting.set(tenantId, waiting)
        setImmediate(() => void this.#decide(tenantId))
      }
      waiting.resolve.push(resolve)
    })
  }

  async #decide(tenantId: string): Promise<void> {
    const waiting = this.#waiting.get(tenantId)
    if (waiting === undefined) return
    this.#waiting.delete(tenantId)
    const { limit, resolve } = waiting
    let granted = resolve.length
    let used = 0
    let resetMs = 1_000
    try {
      const answer = await TAKE.run(this.#redis, `aerodb:rate:{${tenantId}}`, limit, resolve.length)
      const [g = 0, u = 0, reset = 0] = answer as number[]
      granted = g
      used = u
      resetMs = reset / 1000
    } catch (fault) {
      this.#log.debug({ err: fault }, 'rate limit decided without Redis')
      if (this.#whenAway === 'closed') granted = 0
    }
    const remaining = Math.max(0, limit - used)
    resolve.forEach((settle, index) => {
      settle({ admitted: index < granted, remaining, resetMs })
    })
  }
}
