import type { Logger } from '../runtime/log.ts'
import type { RedisClient } from '../runtime/redis.ts'
import type { AwayPolicy } from './config.ts'
import { luaIsDead, type OwnerLiveness } from './owner-liveness.ts'
import { RedisScript } from './redis-script.ts'

/*
 * A tenant's open realtime connections: the hash `aerodb:conn:{<tenant>}` has a field per owner with the number it holds.
 * An owner always writes its whole number, so what a crash of Redis lost is there again with the next announcement; an
 * owner whose heartbeat has stopped is taken out by whoever needs its room.
 */

/** ARGV: owner, its number with the new one, limit or -1, seconds to keep, dead owners. Answers { admitted, all, other owners }. */
const OPEN = new RedisScript(`
${luaIsDead(5)}local all, names = tonumber(ARGV[2]), {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local name = fields[i]
  if is_dead(name) then redis.call('HDEL', KEYS[1], name)
  elseif name ~= ARGV[1] then
    all = all + tonumber(fields[i + 1])
    names[#names + 1] = name
  end
end
local limit = tonumber(ARGV[3])
if limit >= 0 and all > limit then return { 0, all - 1, table.concat(names, ' ') } end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return { 1, all, '' }
`)

/** ARGV: owner, its number, seconds to keep. */
const ANNOUNCE = new RedisScript(`
if ARGV[2] == '0' then return redis.call('HDEL', KEYS[1], ARGV[1]) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return redis.call('EXPIRE', KEYS[1], ARGV[3])
`)

const ANNOUNCE_EVERY_MS = 15_000
const KEEP_SECONDS = 60

export type ConnectionKeeperOptions = {
  redis: RedisClient
  liveness: OwnerLiveness
  whenAway: AwayPolicy
  log: Logger
}

/** Counts realtime connections of every tenant over all workers and gateways; see above. */
export class ConnectionKeeper {
  readonly #options: ConnectionKeeperOptions
  readonly #held = new Map<string, number>()
  readonly #timer: NodeJS.Timeout

  constructor(options: ConnectionKeeperOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.announceAll(), ANNOUNCE_EVERY_MS)
    this.#timer.unref()
  }

  /** Counts a new connection if the tenant may have one more. Whoever got true calls `release` once. */
  async open(tenantId: string, limit: number | null): Promise<boolean> {
    const { liveness, whenAway, log } = this.#options
    // Counted first: two handshakes at once must not both take the last place.
    const held = (this.#held.get(tenantId) ?? 0) + 1
    this.#held.set(tenantId, held)
    try {
      let [admitted, , others] = await this.#ask(tenantId, limit)
      if (!admitted && others.length > 0 && (await liveness.findDead(others)))
        [admitted, , others] = await this.#ask(tenantId, limit)
      if (!admitted) this.#drop(tenantId)
      return admitted
    } catch (fault) {
      log.debug({ err: fault }, 'a connection is admitted without Redis')
      if (whenAway === 'open' || (whenAway === 'local' && (limit === null || held <= limit))) return true
      this.#drop(tenantId)
      return false
    }
  }

  /** A connection that `open` has counted is gone. */
  release(tenantId: string): void {
    this.#drop(tenantId)
    this.#announce(tenantId)
  }

  /** How many connections of a tenant this process holds. */
  heldBy(tenantId: string): number {
    return this.#held.get(tenantId) ?? 0
  }

  /** Writes all numbers again: Redis may have lost them, or our name has changed. */
  announceAll(): void {
    for (const tenantId of this.#held.keys()) this.#announce(tenantId)
  }

  async #ask(tenantId: string, limit: number | null): Promise<[boolean, number, string[]]> {
    const { redis, liveness } = this.#options
    const answer = await OPEN.run(
      redis,
      keyOf(tenantId),
      liveness.owner,
      this.#held.get(tenantId) ?? 1,
      limit ?? -1,
      KEEP_SECONDS,
      liveness.deadNames(),
    )
    const [admitted, all, others] = answer as [number, number, string]
    return [admitted === 1, all, others === '' ? [] : others.split(' ')]
  }

  #drop(tenantId: string): void {
    const held = (this.#held.get(tenantId) ?? 0) - 1
    if (held > 0) this.#held.set(tenantId, held)
    else this.#held.delete(tenantId)
  }

  #announce(tenantId: string): void {
    const { redis, liveness } = this.#options
    ANNOUNCE.run(redis, keyOf(tenantId), liveness.owner, this.#held.get(tenantId) ?? 0, KEEP_SECONDS).catch(() => {})
  }

  /** Gives all places back. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    const { redis, liveness } = this.#options
    await Promise.all(
      [...this.#held.keys()].map((tenantId) =>
        ANNOUNCE.run(redis, keyOf(tenantId), liveness.owner, 0, KEEP_SECONDS).catch(() => {}),
      ),
    )
  }
}

function keyOf(tenantId: string): string {
  return `aerodb:conn:{${tenantId}}`
}
