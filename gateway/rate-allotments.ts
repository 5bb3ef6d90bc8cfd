import type { RedisClient } from '../runtime/redis.ts'
import { luaIsDead, type OwnerLiveness } from './owner-liveness.ts'
import { RECALL_CHANNEL } from './recall-channel.ts'
import { RedisScript } from './redis-script.ts'

/*
 * A tenant's rate limit of L per second is split into slots that owners (workers) hold: the hash `aerodb:rate:{<tenant>}`
 * has a field per owner, `<slots> <counts until> <full until>` (milliseconds of Redis' clock). An owner with n slots admits
 * at most n requests in any second by its own sliding window; the slots of all owners never add up to more than L; so no
 * window of a second ever sees more than L. A slot comes back each second by itself, without Redis.
 *   counts until: the lease's end and one window more, because its last uses stay in the window that long.
 *   full until:   before then no slot of this owner can come free, so nobody needs to ask it for one.
 */

/** ARGV: owner, limit, wanted slots, slots to get at least, ms until one of its own comes free, lease ms, now ms or '', dead owners, slots in use. */
const ASK = new RedisScript(`
local time = redis.call('TIME')
local now = ARGV[7] ~= '' and tonumber(ARGV[7]) or math.floor(time[1] * 1000 + time[2] / 1000)
local owner, limit, wanted, needed = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
${luaIsDead(8)}local others, unknown, free_at, names = 0, 0, now + 1000, {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local name = fields[i]
  if name ~= owner then
    local slots, ends, full = string.match(fields[i + 1], '(%d+) (%d+) (%d+)')
    slots, ends, full = tonumber(slots), tonumber(ends), tonumber(full)
    if is_dead(name) and ends > now + 1000 then
      ends, full = now + 1000, now + 1000
      redis.call('HSET', KEYS[1], name, string.format('%d %d %d', slots, ends, full))
    end
    if ends <= now then
      redis.call('HDEL', KEYS[1], name)
    else
      others = others + slots
      if ends <= now + 1000 then free_at = math.min(free_at, ends)
      elseif full > now then free_at = math.min(free_at, full)
      elseif slots > 0 then
        unknown = unknown + 1
        names[unknown] = name
      end
    end
  end
end
local available = math.max(0, limit - others)
-- What is needed, and of the rest at most half: the next one who is short shall seldom have to recall.
local slots = math.min(available, needed + math.min(math.max(0, wanted - needed), math.floor((available - needed) / 2)))
slots = math.max(slots, math.min(available, needed))
local full = 0
if slots <= tonumber(ARGV[9]) then full = now + (tonumber(ARGV[5]) > 0 and tonumber(ARGV[5]) or 1000) end
local ends = now + tonumber(ARGV[6]) + 1000
redis.call('HSET', KEYS[1], owner, string.format('%d %d %d', slots, ends, full))
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[6]) + 2000)
if slots < needed and unknown > 0 then
  redis.call('PUBLISH', '${RECALL_CHANNEL}', 'rate recall ' .. string.match(KEYS[1], '{(.*)}') .. ' ' .. owner)
end
return { slots, others, table.concat(names, ' '), free_at - now }
`)

/** ARGV: owner, slots kept, ms until one of them comes free, lease ms that are left, now ms or ''. */
const RELEASE = new RedisScript(`
local time = redis.call('TIME')
local now = ARGV[5] ~= '' and tonumber(ARGV[5]) or math.floor(time[1] * 1000 + time[2] / 1000)
local owner, slots = ARGV[1], tonumber(ARGV[2])
if slots == 0 then
  redis.call('HDEL', KEYS[1], owner)
else
  redis.call('HSET', KEYS[1], owner,
    string.format('%d %d %d', slots, now + tonumber(ARGV[4]) + 1000, now + tonumber(ARGV[3])))
end
redis.call('PUBLISH', '${RECALL_CHANNEL}', 'rate answer ' .. string.match(KEYS[1], '{(.*)}') .. ' ' .. owner)
`)

export type AllotmentAnswer = {
  slots: number
  /** Held by other owners. */
  others: number
  /** Owners that may hold slots that they do not use. */
  unknown: readonly string[]
  /** No slot of another owner comes free before this many milliseconds from now. */
  othersFreeInMs: number
}

export type AllotmentsOptions = {
  redis: RedisClient
  /** Names the owner as it is called now. */
  liveness: Pick<OwnerLiveness, 'owner'>
  leaseMs: number
  /** The clock that leases are written by; Redis' own unless a test gives one. */
  nowMs?: () => number
}

/** The slots of all tenants' rate limits, as Redis keeps them for one owner. */
export class RateAllotments {
  readonly #options: AllotmentsOptions

  constructor(options: AllotmentsOptions) {
    this.#options = options
  }

  /**
   * Asks to hold `wanted` slots, and `needed` of them at least: an owner that holds so many already keeps them. `inUse` are the
   * uses of the last second and waiting requests: one that has no more slots than these is known to be full.
   */
  async ask(
    tenantId: string,
    limit: number,
    wanted: number,
    needed: number,
    inUse: number,
    ownFreeInMs: number,
    deadOwners: string,
  ): Promise<AllotmentAnswer> {
    const { redis, liveness, leaseMs } = this.#options
    const answer = await ASK.run(
      redis,
      keyOf(tenantId),
      liveness.owner,
      limit,
      wanted,
      needed,
      Math.ceil(ownFreeInMs),
      leaseMs,
      this.#now(),
      deadOwners,
      inUse,
    )
    const [slots, others, unknown, othersFreeInMs] = answer as [number, number, string, number]
    return { slots, others, unknown: unknown === '' ? [] : unknown.split(' '), othersFreeInMs }
  }

  /** Keeps `slots` and gives the rest back. */
  async release(tenantId: string, slots: number, ownFreeInMs: number, leaseLeftMs: number): Promise<void> {
    const { redis, liveness } = this.#options
    await RELEASE.run(
      redis,
      keyOf(tenantId),
      liveness.owner,
      slots,
      Math.floor(ownFreeInMs),
      Math.max(0, Math.ceil(leaseLeftMs)),
      this.#now(),
    )
  }

  #now(): number | '' {
    return this.#options.nowMs?.() ?? ''
  }
}

function keyOf(tenantId: string): string {
  return `aerodb:rate:{${tenantId}}`
}
