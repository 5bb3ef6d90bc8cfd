import type { Logger } from '../../../runtime/log.ts'
import type { RedisClient } from '../../../runtime/redis.ts'
import type { PresenceDiff, PresenceEntry } from './presence-view.ts'

/** A process shows that it lives this often, and is believed for three times as long. */
const BEAT_MS = 5_000
const LEASE_S = 15
/** A peer whose lease was missing this many times in a row is dead; once may be Redis having lost its data. */
const MISSES_UNTIL_DEAD = 2
/** What no process refreshes is forgotten; entries of processes that died unseen go with it. */
const HASH_TTL_S = 3_600

/** Deletes fields (ARGV: field, value, ...) that still hold what was read: their process may have come back and written them again. */
const DELETE_AS_READ = `
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
`

/**
 * Presences of all processes in Redis, so that a process that begins to look at a topic sees everybody: one hash per topic,
 * one field per tracked client, named by the process that holds the client. Each process keeps a lease; when a peer's lease is
 * gone, its entries are dropped by those who see them.
 */
export class PresenceStore {
  readonly #redis: RedisClient
  readonly #instanceId: string
  readonly #log: Logger
  /** Peers that this process has seen, with how many looks in a row found no lease. */
  readonly #peers = new Map<string, number>()
  readonly #onPeerDead: (instanceId: string) => void
  #timer: NodeJS.Timeout | undefined
  #nextRef = 0
  #writings = 0

  constructor(options: {
    redis: RedisClient
    instanceId: string
    onPeerDead: (instanceId: string) => void
    log: Logger
    beatMs?: number
  }) {
    this.#redis = options.redis
    this.#instanceId = options.instanceId
    this.#onPeerDead = options.onPeerDead
    this.#log = options.log
    void this.#beat()
    this.#timer = setInterval(() => void this.#beat(), options.beatMs ?? BEAT_MS).unref()
  }

  /** A reference for a tracked client: it tells which process holds it. */
  makeRef(): string {
    this.#nextRef += 1
    return `${this.#instanceId}.${this.#nextRef}`
  }

  /** True when the entry is of a client of this process. */
  isOurs(ref: string): boolean {
    return instanceOf(ref) === this.#instanceId
  }

  /** Notes a change of ours. Failures are made good by `write` after the gap. */
  async record(hash: string, diff: PresenceDiff): Promise<void> {
    const { joins, leaves } = diff
    try {
      if (leaves.length > 0) await this.#redis.hdel(hash, ...leaves.map((entry) => entry.ref))
      if (joins.length > 0) await this.write(hash, joins)
    } catch {
      // Redis is away: local members know; the others are told after the gap.
    }
  }

  /** Writes entries of ours, new or again, and keeps the topic's hash from being forgotten. */
  async write(hash: string, entries: readonly PresenceEntry[]): Promise<void> {
    // A number that never comes twice tells what is written again from what a peer has read before.
    const writing = ++this.#writings
    const fields = entries.flatMap(({ ref, key, metaJson }) => [ref, JSON.stringify([key, metaJson, writing])])
    await Promise.all([
      fields.length > 0 ? this.#redis.hset(hash, ...fields) : undefined,
      this.#redis.expire(hash, HASH_TTL_S),
    ])
  }

  /**
   * Everybody in the topic whose process lives.
   * @throws when Redis is away.
   */
  async read(hash: string): Promise<PresenceEntry[]> {
    const fields = await this.#redis.hgetall(hash)
    const entries: PresenceEntry[] = []
    for (const [ref, text] of Object.entries(fields)) {
      const [key, metaJson] = JSON.parse(text) as [string, string, number]
      entries.push({ ref, key, metaJson })
    }
    const unknown = new Set(
      entries.map((entry) => instanceOf(entry.ref)).filter((id) => id !== this.#instanceId && !this.#peers.has(id)),
    )
    const dead = new Set<string>()
    await Promise.all(
      [...unknown].map(async (id) => {
        if (await this.#isAlive(id)) this.#peers.set(id, 0)
        else dead.add(id)
      }),
    )
    const stale = Object.entries(fields).filter(([ref]) => dead.has(instanceOf(ref)))
    if (stale.length > 0) void this.#redis.eval(DELETE_AS_READ, 1, hash, ...stale.flat()).catch(() => {})
    return entries.filter((entry) => !dead.has(instanceOf(entry.ref)))
  }

  /** Notes that a peer has spoken: it lives, and will be watched. */
  sawPeer(ref: string): void {
    const id = instanceOf(ref)
    if (id !== this.#instanceId) this.#peers.set(id, 0)
  }

  /**
   * Shows that this process lives, at once: after Redis has lost its data, before entries are written again, for peers take what
   * is held by nobody for dead.
   * @throws when Redis is away.
   */
  async renewLease(): Promise<void> {
    await this.#redis.set(leaseKey(this.#instanceId), '1', 'EX', LEASE_S)
  }

  /** Ends the lease: peers drop what is left of ours without waiting. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.#redis.del(leaseKey(this.#instanceId)).catch(() => {})
  }

  async #beat(): Promise<void> {
    try {
      await this.renewLease()
      for (const [id, misses] of [...this.#peers]) {
        const isAlive = await this.#isAlive(id)
        // It has spoken while we asked.
        if (this.#peers.get(id) !== misses) continue
        if (isAlive) this.#peers.set(id, 0)
        else if (misses + 1 < MISSES_UNTIL_DEAD) this.#peers.set(id, misses + 1)
        else {
          this.#peers.delete(id)
          this.#log.info({ peer: id }, 'a backend is gone; its presences leave')
          this.#onPeerDead(id)
        }
      }
    } catch {
      // While Redis is away nobody can be told dead.
    }
  }

  async #isAlive(instanceId: string): Promise<boolean> {
    return (await this.#redis.exists(leaseKey(instanceId))) === 1
  }
}

/** The process that holds the entry. */
export function instanceOf(ref: string): string {
  return ref.slice(0, ref.indexOf('.'))
}

function leaseKey(instanceId: string): string {
  return `aerodb:realtime:backend:${instanceId}`
}
