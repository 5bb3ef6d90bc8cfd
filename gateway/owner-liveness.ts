import type { Clock } from '../runtime/clock.ts'
import type { RedisClient } from '../runtime/redis.ts'

/** How often an owner of leases says that it lives, and for how long that is believed. */
const BEAT_MS = 1_000
const BELIEVED_FOR_MS = 6_000
/** For how long an owner that was found dead is named to the scripts: an owner that was not dead has another name by then. */
const NAMED_FOR_MS = 300_000

/** Who of the owners of leases lives. */
export type OwnerLiveness = {
  /** The name under which this process holds leases. It changes when others may have taken the old one for dead. */
  readonly owner: string
  /** This owner's leases may be used until then (monotonic): later, others may have taken it for dead. */
  readonly validUntilMs: number
  /** Owners, and processes with all their lives, known to be dead; separated by spaces. */
  deadNames(): string
  /** Looks whether these live. @returns true when one was found dead that was not known to be. */
  findDead(owners: readonly string[]): Promise<boolean>
}

/**
 * Liveness by a heartbeat in Redis, one small command a second for each worker, whatever number of leases it holds. So
 * leases can be long and cost nothing, and those of a worker or gateway that was killed are free within seconds. The
 * primary tells of its dead workers at once.
 */
export class HeartbeatLiveness implements OwnerLiveness {
  readonly #redis: RedisClient
  readonly #process: string
  readonly #clock: Clock
  readonly #dead = new Map<string, number>()
  readonly #onRebirth: (() => void)[] = []
  #deadNames = ''
  #life = 1
  #timer: NodeJS.Timeout | undefined
  validUntilMs = 0

  /** @param options.process names the process; its lives are numbered. */
  constructor(options: { redis: RedisClient; process: string; clock: Clock }) {
    this.#redis = options.redis
    this.#process = options.process
    this.#clock = options.clock
  }

  get owner(): string {
    return `${this.#process}.${this.#life}`
  }

  /** Calls `listener` when a new life begins: what was leased in the last one is not ours any more. */
  onRebirth(listener: () => void): void {
    this.#onRebirth.push(listener)
  }

  /** Beats now and from now on; does not fail while Redis is away. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.beat(), BEAT_MS)
    this.#timer.unref()
    await this.beat()
  }

  async beat(): Promise<void> {
    const sentMs = this.#clock.monotonicMs()
    if (this.validUntilMs > 0 && sentMs >= this.validUntilMs) this.#beginLife()
    const { owner } = this
    try {
      const before = await this.#redis.set(keyOf(owner), '1', 'PX', BELIEVED_FOR_MS, 'GET')
      // A life that a later beat has ended stays ended.
      if (owner !== this.owner) return
      // Redis has lost the last beat: somebody may have looked meanwhile, and named this life dead.
      if (before === null && this.validUntilMs > 0) {
        this.#beginLife()
        await this.beat()
      } else this.validUntilMs = sentMs + BELIEVED_FOR_MS
    } catch {
      // Redis is away: the leases are used until others may take us for dead, then each limit's policy decides.
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.validUntilMs = 0
    await this.#redis.del(keyOf(this.owner)).catch(() => {})
  }

  /** A process of this gateway has ended: none of its lives need be waited for. */
  declareProcessDead(process: string): void {
    this.#declareDead(process)
  }

  #declareDead(owner: string): void {
    this.#dead.set(owner, performance.now() + NAMED_FOR_MS)
    this.#deadNames = [...this.#dead.keys()].join(' ')
  }

  #beginLife(): void {
    this.validUntilMs = 0
    this.#life++
    for (const listener of this.#onRebirth) listener()
  }

  deadNames(): string {
    if (this.#dead.size === 0) return ''
    const now = performance.now()
    for (const [owner, until] of this.#dead) {
      if (until > now) continue
      this.#dead.delete(owner)
      this.#deadNames = [...this.#dead.keys()].join(' ')
    }
    return this.#deadNames
  }

  async findDead(owners: readonly string[]): Promise<boolean> {
    const unknown = owners.filter((owner) => !this.#dead.has(owner))
    const found = await Promise.all(
      unknown.map(async (owner) => {
        const isAlive = (await this.#redis.exists(keyOf(owner))) === 1
        if (!isAlive) this.#declareDead(owner)
        return !isAlive
      }),
    )
    return found.includes(true)
  }
}

function keyOf(owner: string): string {
  return `aerodb:gateway:alive:{${owner}}`
}

/** Lua: `is_dead(name)` by the names in ARGV[n]: the owner's own, or its process's (the name without the life's number). */
export function luaIsDead(argument: number): string {
  return `
local dead = {}
for name in string.gmatch(ARGV[${argument}], '%S+') do dead[name] = true end
local function is_dead(name) return dead[name] or dead[string.match(name, '^(.*)%.%d+$') or ''] end
`
}
