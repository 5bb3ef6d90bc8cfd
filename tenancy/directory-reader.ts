import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/log.ts'
import type { RedisClient } from '../runtime/redis.ts'
import { SecondChanceCache } from '../runtime/second-chance-cache.ts'
import {
  ANNOUNCE_CHANNEL,
  type Announcement,
  CHANGES_KEY,
  COMPLETE_KEY,
  type DirectoryKind,
  documentKey,
} from './directory-keys.ts'
import type { LastKnownGood } from './last-known-good.ts'

/** A document was asked for while neither Redis nor the disk could tell whether it exists. */
export class DirectoryAwayError extends Error {
  constructor(cause: unknown) {
    super('The directory cannot be read', { cause })
    this.name = 'DirectoryAwayError'
  }
}

/** How often copies on disk are looked through for documents that are gone: this process may not have run when they went. */
const COPIES_CHECK_MS = 3_600_000
/** Documents whose existence is asked for at once. */
const COPIES_AT_ONCE = 200
/** How often a document that is older than announced is read before it is served all the same. */
const OLD_READS = 3

type Slot<Entry> = { entry: Entry | null; version: number; freshUntilMs: number }

export type DirectoryReaderOptions<Entry> = {
  kind: DirectoryKind
  /** For reads; fails fast. */
  redis: RedisClient
  /** A second connection, for announcements. */
  subscriber: RedisClient
  lastKnownGood?: LastKnownGood
  /** Turns a document into what the process works with; what it caches with the entry goes when the entry goes. */
  parse: (document: string) => Entry
  versionOf: (entry: Entry) => number
  /** Entries kept at most; what was not used for long goes first. */
  maxEntries: number
  /** How often the change log is asked for announcements that were missed. */
  recheckMs?: number
  /** For how long the answer "there is no such document" is believed without an announcement. */
  absentTtlMs?: number
  clock: Clock
  log: Logger
}

/**
 * The reading side of the directory: a bounded cache of documents (hit, known-absent, miss; single-flight). An announced
 * change drops its entry at once; the change log, asked every `recheckMs`, catches what announcements missed. While Redis
 * is away, entries go on serving and misses are answered from disk.
 */
export class DirectoryReader<Entry> {
  readonly #options: DirectoryReaderOptions<Entry>
  readonly #cache: SecondChanceCache<Slot<Entry>>
  readonly #loading = new Map<string, Promise<Entry | null>>()
  /** Versions announced while a load was under way: a load that read an older document is repeated. */
  readonly #announced = new Map<string, number>()
  /** Keys whose entry came from the disk, or was older than announced: read again with the next round. */
  readonly #doubtful = new Set<string>()
  readonly #recheckMs: number
  readonly #absentTtlMs: number
  readonly #listeners = new Set<(key: string) => void>()
  #timer: NodeJS.Timeout | undefined
  #seenVersion = 0
  #checkCopiesAtMs = 0
  #onMessage: ((channel: string, text: string) => void) | undefined

  constructor(options: DirectoryReaderOptions<Entry>) {
    this.#options = options
    this.#cache = new SecondChanceCache({ max: options.maxEntries })
    this.#recheckMs = options.recheckMs ?? 2_000
    this.#absentTtlMs = options.absentTtlMs ?? 10_000
  }

  /** Subscribes to announcements and begins to ask the change log. Works, later, also when Redis is away now. */
  start(): void {
    const { subscriber } = this.#options
    this.#onMessage = (channel, text) => {
      if (channel !== ANNOUNCE_CHANNEL) return
      const announcement = JSON.parse(text) as Announcement
      if (announcement.kind !== this.#options.kind) return
      if (this.#cache.peek(announcement.key) === undefined) void this.#renewCopy(announcement.key)
      this.#changed(announcement.key, announcement.version)
    }
    subscriber.on('message', this.#onMessage)
    const subscribe = () => void subscriber.subscribe(ANNOUNCE_CHANNEL).catch(() => {})
    subscriber.on('ready', subscribe)
    if (subscriber.status === 'ready') subscribe()
    const recheck = () => {
      void this.#askChangeLog().finally(() => {
        if (this.#timer !== undefined) this.#timer = setTimeout(recheck, this.#recheckMs)
      })
    }
    this.#timer = setTimeout(recheck, 0)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#onMessage !== undefined) this.#options.subscriber.off('message', this.#onMessage)
  }

  /** Calls `listener` with the key of each entry that was dropped because it changed. */
  onChange(listener: (key: string) => void): void {
    this.#listeners.add(listener)
  }

  /** The cached entry, `null` when it is known not to exist, `undefined` when only `load` can tell. Never waits. */
  peek(key: string): Entry | null | undefined {
    const slot = this.#cache.get(key)
    if (slot === undefined) return undefined
    if (slot.entry === null && slot.freshUntilMs <= this.#options.clock.nowMs()) return undefined
    return slot.entry
  }

  /**
   * Reads the document through the cache; callers that ask for the same key at once share one read.
   * @throws DirectoryAwayError when Redis is away (or has lost its data) and the disk has no copy either.
   */
  async load(key: string): Promise<Entry | null> {
    const cached = this.peek(key)
    if (cached !== undefined) return cached
    let loading = this.#loading.get(key)
    if (loading === undefined) {
      loading = this.#read(key).finally(() => {
        this.#loading.delete(key)
        this.#announced.delete(key)
      })
      this.#loading.set(key, loading)
    }
    return loading
  }

  get size(): number {
    return this.#cache.size
  }

  async #read(key: string): Promise<Entry | null> {
    const { redis, kind, lastKnownGood, clock } = this.#options
    try {
      for (let tries = 1; ; tries++) {
        const [document, complete] = await Promise.all([
          redis.hget(documentKey(kind, key), 'document'),
          redis.get(COMPLETE_KEY),
        ])
        if (document === null) {
          if (complete === null) throw new Error('The directory is not complete')
          this.#cache.set(key, { entry: null, version: 0, freshUntilMs: clock.nowMs() + this.#absentTtlMs })
          this.#doubtful.delete(key)
          await lastKnownGood?.remove(kind, key)
          return null
        }
        const entry = this.#store(key, document)
        if (this.#options.versionOf(entry) >= (this.#announced.get(key) ?? 0)) {
          this.#doubtful.delete(key)
          void lastKnownGood?.write(kind, key, document)
          return entry
        }
        if (tries === OLD_READS) {
          // A replica took over that lacks what was announced; control will publish it again.
          this.#doubtful.add(key)
          return entry
        }
      }
    } catch (fault) {
      const copy = await lastKnownGood?.read(kind, key)
      if (copy === undefined) throw new DirectoryAwayError(fault)
      this.#doubtful.add(key)
      return this.#store(key, copy)
    }
  }

  #store(key: string, document: string): Entry {
    const entry = this.#options.parse(document)
    this.#cache.set(key, { entry, version: this.#options.versionOf(entry), freshUntilMs: Number.POSITIVE_INFINITY })
    return entry
  }

  #changed(key: string, version: number): void {
    if (this.#loading.has(key)) this.#announced.set(key, Math.max(version, this.#announced.get(key) ?? 0))
    const slot = this.#cache.peek(key)
    if (slot === undefined || (slot.entry !== null && slot.version >= version)) return
    if (slot.entry === null) this.#cache.delete(key)
    else void this.#refresh(key)
    for (const listener of this.#listeners) listener(key)
  }

  /** Re-reads an entry that changed; the old one is dropped first, so no decision is taken on it any more. */
  async #refresh(key: string): Promise<void> {
    this.#cache.delete(key)
    try {
      await this.load(key)
    } catch {
      // Redis went away between the announcement and the read: the next request decides from disk.
    }
  }

  /** What is not in the cache may still lie on disk, from where a later start would serve it. */
  async #renewCopy(key: string): Promise<void> {
    const { kind, lastKnownGood } = this.#options
    if ((await lastKnownGood?.read(kind, key)) !== undefined) await this.#refresh(key)
  }

  /** Removes the copies of documents that are gone. */
  async #checkCopies(): Promise<void> {
    const { redis, kind, lastKnownGood, clock } = this.#options
    if (lastKnownGood === undefined || clock.monotonicMs() < this.#checkCopiesAtMs) return
    const keys = await lastKnownGood.keys(kind)
    if ((await redis.get(COMPLETE_KEY)) === null) return
    this.#checkCopiesAtMs = clock.monotonicMs() + COPIES_CHECK_MS
    while (keys.length > 0) {
      const some = keys.splice(0, COPIES_AT_ONCE)
      const exist = await Promise.all(some.map((key) => redis.exists(documentKey(kind, key))))
      for (const [i, key] of some.entries()) if (exist[i] === 0) await this.#refresh(key)
    }
  }

  async #askChangeLog(): Promise<void> {
    const { redis, kind } = this.#options
    try {
      if (this.#seenVersion === 0) {
        const [, newest] = await redis.zrange(CHANGES_KEY, '-1', '-1', 'WITHSCORES')
        this.#seenVersion = Number(newest ?? 0)
      }
      // Versions are drawn from one sequence but may be published out of order: look back over a margin.
      const since = Math.max(0, this.#seenVersion - 1_000)
      const rows = await redis.zrange(CHANGES_KEY, since, '+inf', 'BYSCORE', 'WITHSCORES')
      for (let i = 0; i < rows.length; i += 2) {
        const member = rows[i] ?? ''
        const version = Number(rows[i + 1])
        if (member.startsWith(`${kind}:`)) this.#changed(member.slice(kind.length + 1), version)
        this.#seenVersion = Math.max(this.#seenVersion, version)
      }
      for (const key of [...this.#doubtful]) void this.#refresh(key)
      await this.#checkCopies()
    } catch {
      // Redis is away: entries go on serving, and the next round asks again.
    }
  }
}
