import type { Logger } from '../runtime/log.ts'
import { Problem } from '../runtime/problem.ts'
import type { RedisClient } from '../runtime/redis.ts'
import type { AwayPolicy } from './config.ts'
import type { QuotaKeeper } from './monthly-quota.ts'
import { RedisScript } from './redis-script.ts'

/** KEYS: the counter. ARGV: quota, wanted. Answers how many are granted; -1 when there is no counter. */
const TAKE = new RedisScript(`
local used = redis.call('GET', KEYS[1])
if not used then return -1 end
local granted = math.max(0, math.min(tonumber(ARGV[2]), tonumber(ARGV[1]) - tonumber(used)))
if granted > 0 then redis.call('INCRBY', KEYS[1], granted) end
return granted
`)

const KEEP_SECONDS = 40 * 86_400

/** Reads from the ledger how many requests a tenant has made in a month. */
export type RequestCountSource = (tenantId: string, month: string) => Promise<number>

/** The month's counter in Redis, rebuilt from the ledger when it is missing; requests of one turn are decided together. */
export class QuotaCounter implements QuotaKeeper {
  readonly #redis: RedisClient
  readonly #countInLedger: RequestCountSource
  readonly #whenAway: AwayPolicy
  readonly #log: Logger
  readonly #waiting = new Map<string, { quota: number; settle: ((granted: boolean) => void)[] }>()

  constructor(options: {
    redis: RedisClient
    countInLedger: RequestCountSource
    whenAway: AwayPolicy
    log: Logger
  }) {
    this.#redis = options.redis
    this.#countInLedger = options.countInLedger
    this.#whenAway = options.whenAway
    this.#log = options.log
  }

  take(tenantId: string, month: string, quota: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const key = `aerodb:quota:{${tenantId}}:${month}`
      let waiting = this.#waiting.get(key)
      if (waiting === undefined) {
        waiting = { quota, settle: [] }
        this.#waiting.set(key, waiting)
        setImmediate(() => {
          this.#decide(key, tenantId, month).catch(reject)
        })
      }
      waiting.settle.push(resolve)
    })
  }

  async #decide(key: string, tenantId: string, month: string): Promise<void> {
    const waiting = this.#waiting.get(key)
    if (waiting === undefined) return
    this.#waiting.delete(key)
    let granted = 0
    try {
      granted = Number(await TAKE.run(this.#redis, key, waiting.quota, waiting.settle.length))
      if (granted < 0) {
        const count = await this.#countInLedger(tenantId, month)
        await this.#redis.set(key, count, 'EX', KEEP_SECONDS, 'NX')
        granted = Number(await TAKE.run(this.#redis, key, waiting.quota, waiting.settle.length))
      }
    } catch (fault) {
      this.#log.debug({ err: fault }, 'quota decided without Redis')
      if (this.#whenAway === 'closed') throw new Problem(503, 'quota_unavailable', { cause: fault })
      granted = waiting.settle.length
    }
    waiting.settle.forEach((settle, index) => {
      settle(index < granted)
    })
  }
}
