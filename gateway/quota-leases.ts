import { randomUUID } from 'node:crypto'
import type { RedisClient } from '../runtime/redis.ts'
import { luaIsDead, type OwnerLiveness } from './owner-liveness.ts'
import { RECALL_CHANNEL } from './recall-channel.ts'
import { RedisScript } from './redis-script.ts'

/*
 * A tenant's requests of a month: the hash `aerodb:quota:{<tenant>}:<YYYY-MM>`.
 *   epoch         which making of the counter this is: what was used under an older one is the ledger's to tell
 *   used          requests that owners reported, or that the ledger had when the counter was made
 *   l:<owner>     `<requests leased> <ends>`: may be used by that owner without asking; milliseconds of Redis' clock
 *   s:<series>    what an owner has reported in all. It always tells its total, so a report that arrives twice counts once,
 *                 and one that a replica lacks after a failover is made good by the next
 *   lost          requests leased by owners that died without reporting: counted as used until the ledger has told
 *   lost_used     `used` when that was noted last
 *   check_at      when the ledger is to be asked again (after the counter was made from it, or requests were lost)
 * used + all leases never exceed the quota, so it is hard. Leases shrink as the quota runs out, down to single requests,
 * and are recalled when somebody is short; so the last request of the month is found wherever it is.
 */

/** Lua: ends expired and dead leases. Leaves `others` (leased to living others), `used`. */
const EXPIRE_LEASES = `
local time = redis.call('TIME')
local now = ARGV[1] ~= '' and tonumber(ARGV[1]) or math.floor(time[1] * 1000 + time[2] / 1000)
local owner = ARGV[2]
local used = redis.call('HGET', KEYS[1], 'used')
if not used then return { -1, 0, 0, 0, '' } end
used = tonumber(used)
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if ARGV[5] == epoch then
  local spent = tonumber(ARGV[6]) - tonumber(redis.call('HGET', KEYS[1], 's:' .. ARGV[7]) or '0')
  if spent > 0 then
    used = redis.call('HINCRBY', KEYS[1], 'used', spent)
    redis.call('HSET', KEYS[1], 's:' .. ARGV[7], ARGV[6])
  end
end
${luaIsDead(3)}local others, lost, names = 0, 0, {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local name = fields[i]
  if string.sub(name, 1, 2) == 'l:' and name ~= 'l:' .. owner then
    local leased, ends = string.match(fields[i + 1], '(%d+) (%d+)')
    if tonumber(ends) <= now or is_dead(string.sub(name, 3)) then
      redis.call('HDEL', KEYS[1], name)
      lost = lost + tonumber(leased)
    else
      others = others + tonumber(leased)
      names[#names + 1] = string.sub(name, 3)
    end
  elseif string.sub(name, 1, 2) == 's:' and is_dead(string.match(name, '^s:(.*)%.%d+$') or '') then
    redis.call('HDEL', KEYS[1], name)
  end
end
if lost > 0 then
  used = redis.call('HINCRBY', KEYS[1], 'used', lost)
  redis.call('HINCRBY', KEYS[1], 'lost', lost)
  redis.call('HSET', KEYS[1], 'lost_used', used, 'check_at', now + tonumber(ARGV[4]))
end
`

/** ARGV: now, owner, dead owners, ms until the ledger is complete, epoch, used in all, series, quota, needed, most wanted, lease ms. */
const ASK = new RedisScript(`${EXPIRE_LEASES}
local quota, needed = tonumber(ARGV[8]), tonumber(ARGV[9])
local available = quota - used - others
local granted = math.max(0, math.min(available, math.max(needed, math.min(tonumber(ARGV[10]), math.floor(available / 32)))))
if granted > 0 then
  redis.call('HSET', KEYS[1], 'l:' .. owner, string.format('%d %d', granted, now + tonumber(ARGV[11])))
else
  redis.call('HDEL', KEYS[1], 'l:' .. owner)
end
if granted < needed and others > 0 then
  redis.call('PUBLISH', '${RECALL_CHANNEL}', 'quota recall ' .. string.match(KEYS[1], '{(.*)}') .. ' ' .. owner)
end
local check_at = tonumber(redis.call('HGET', KEYS[1], 'check_at') or '0')
return { granted, used, others, (check_at > 0 and check_at <= now) and 1 or 0, epoch, table.concat(names, ' ') }
`)

/** ARGV: now, owner, dead owners, ms until the ledger is complete, epoch, used in all, series, whether the series ends. */
const REPORT = new RedisScript(`${EXPIRE_LEASES}
redis.call('HDEL', KEYS[1], 'l:' .. owner)
if ARGV[8] == '1' then redis.call('HDEL', KEYS[1], 's:' .. ARGV[7]) end
redis.call('PUBLISH', '${RECALL_CHANNEL}', 'quota answer ' .. string.match(KEYS[1], '{(.*)}') .. ' ' .. owner)
return { 0, used, others, 0, epoch }
`)

/** ARGV: the ledger's count, ms until it is complete, seconds to keep, now, epoch. Makes the counter unless there is one. */
const MAKE = new RedisScript(`
if redis.call('HEXISTS', KEYS[1], 'used') == 1 then return 0 end
local time = redis.call('TIME')
local now = ARGV[4] ~= '' and tonumber(ARGV[4]) or math.floor(time[1] * 1000 + time[2] / 1000)
redis.call('HSET', KEYS[1], 'used', ARGV[1], 'check_at', now + tonumber(ARGV[2]), 'epoch', ARGV[5])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
`)

/** Calls every lease of a tenant's month in, so that all that was used is reported. */
const RECALL = new RedisScript(`
redis.call('PUBLISH', '${RECALL_CHANNEL}', 'quota recall ' .. string.match(KEYS[1], '{(.*)}') .. ' -')
return 1
`)

/**
 * ARGV: the ledger's count, read before the leases were called in; ms until it is complete; now. The ledger never counts
 * more than was used. And of what was used it knows all but the last moments: so the truth is at most the ledger's count
 * and what was reported since `lost_used` was noted. While a tenant is busy that says little, and is asked again later.
 */
const CORRECT = new RedisScript(`
local used = tonumber(redis.call('HGET', KEYS[1], 'used') or '-1')
if used < 0 then return -1 end
local time = redis.call('TIME')
local now = ARGV[3] ~= '' and tonumber(ARGV[3]) or math.floor(time[1] * 1000 + time[2] / 1000)
local ledger = tonumber(ARGV[1])
local lost = tonumber(redis.call('HGET', KEYS[1], 'lost') or '0')
local corrected, since = used, 0
if lost > 0 then
  since = used - tonumber(redis.call('HGET', KEYS[1], 'lost_used'))
  corrected = math.max(used - lost, math.min(used, ledger + since))
end
corrected = math.max(corrected, ledger)
redis.call('HSET', KEYS[1], 'used', corrected)
lost = lost - math.max(0, used - corrected)
if lost > 0 and since > 0 then
  redis.call('HSET', KEYS[1], 'lost', lost, 'lost_used', corrected, 'check_at', now + tonumber(ARGV[2]))
else
  redis.call('HDEL', KEYS[1], 'lost', 'lost_used', 'check_at')
end
return corrected
`)

const KEEP_SECONDS = 40 * 86_400

export type QuotaReport = {
  /** Which making of the counter it is about. */
  epoch: string
  /** Names the total: an owner, a dot and a number. */
  series: string
  /** Requests used since the series began. */
  total: number
}

export type QuotaAnswer = {
  /** Requests that may be used without asking; -1 when there is no counter. */
  granted: number
  used: number
  others: number
  /** The counter is to be checked against the ledger. */
  isCheckDue: boolean
  /** Which making of the counter this is. */
  epoch: string
  /** Other owners with a lease. */
  holders: readonly string[]
}

export type QuotaLeasesOptions = {
  redis: RedisClient
  /** Names the owner as it is called now. */
  liveness: Pick<OwnerLiveness, 'owner'>
  leaseMs: number
  /** After so long the ledger holds every request that was answered before. */
  ledgerLagMs: number
  /** The clock that leases are written by; Redis' own unless a test gives one. */
  nowMs?: () => number
}

/** The month's counters of all tenants, as Redis keeps them for one owner. */
export class QuotaLeases {
  readonly #options: QuotaLeasesOptions

  constructor(options: QuotaLeasesOptions) {
    this.#options = options
  }

  async ask(
    key: string,
    request: QuotaReport & { quota: number; needed: number; most: number; deadOwners: string },
  ): Promise<QuotaAnswer> {
    const { redis, liveness, leaseMs, ledgerLagMs } = this.#options
    const { epoch, series, total, quota, needed, most, deadOwners } = request
    const answer = await ASK.run(
      redis,
      key,
      this.#now(),
      liveness.owner,
      deadOwners,
      ledgerLagMs,
      epoch,
      total,
      series,
      quota,
      needed,
      most,
      leaseMs,
    )
    const [granted, used, others, check, madeAs, holders = ''] = answer as [
      number,
      number,
      number,
      number,
      string,
      string,
    ]
    return { granted, used, others, isCheckDue: check === 1, epoch: madeAs, holders: holders.split(' ') }
  }

  /** Reports what was used and gives the rest of the lease back. */
  async report(key: string, { epoch, series, total }: QuotaReport, isLast: boolean): Promise<void> {
    const { redis, liveness, ledgerLagMs } = this.#options
    const last = isLast ? 1 : 0
    await REPORT.run(redis, key, this.#now(), liveness.owner, '', ledgerLagMs, epoch, total, series, last)
  }

  /** Makes a missing counter from the ledger's count. */
  async make(key: string, ledgerCount: number): Promise<void> {
    await MAKE.run(
      this.#options.redis,
      key,
      ledgerCount,
      this.#options.ledgerLagMs,
      KEEP_SECONDS,
      this.#now(),
      randomUUID(),
    )
  }

  async recall(key: string): Promise<void> {
    await RECALL.run(this.#options.redis, key)
  }

  async correct(key: string, ledgerCount: number): Promise<void> {
    await CORRECT.run(this.#options.redis, key, ledgerCount, this.#options.ledgerLagMs, this.#now())
  }

  #now(): number | '' {
    return this.#options.nowMs?.() ?? ''
  }
}
