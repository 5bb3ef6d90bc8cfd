import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../runtime/clock.ts'
import { makeId } from '../runtime/ids.ts'
import type { Logger } from '../runtime/log.ts'
import type { PostgresPool } from '../runtime/postgres-pool.ts'
import { recordBatch } from './ledger-store.ts'
import { PartitionLock } from './partition-locks.ts'
import type { UsageStream } from './stream.ts'

export type SinkOptions = {
  databaseUrl: string
  pool: PostgresPool
  stream: UsageStream
  clock: Clock
  log: Logger
  /** How often an empty partition is looked at. Default 100 ms. */
  pollMs?: number
  /** Entries counted in one transaction at most. Default 64. */
  maxEntries?: number
  /** How often partitions are shared anew among the sinks that are alive. Default 1 000 ms. */
  balanceMs?: number
}

export type SinkStats = {
  requests: number
  batches: number
  duplicates: number
  refused: number
  setAside: number
  partitions: number[]
}

/** A sink that was not seen for so long is dead: its share goes to the others. */
const DEAD_AFTER_MS = 5_000

/**
 * Moves the stream into the ledger. For each partition that this sink holds, over and over: (1) read what waits, (2) count it
 * in one transaction, (3) publish the marks, (4) take it out of the stream. A crash after (1) changes nothing; after (2) the
 * entries are read again and found counted, and (3) and (4) follow; after (3) the same.
 */
export class Sink {
  readonly #options: SinkOptions
  readonly #id = makeId('snk')
  readonly #pollMs: number
  readonly #maxEntries: number
  readonly #balanceMs: number
  readonly #held = new Map<number, { lock: PartitionLock; done: Promise<void> }>()
  readonly #stop = new AbortController()
  readonly #stats = { requests: 0, batches: 0, duplicates: 0, refused: 0, setAside: 0 }
  #balancing: Promise<void> = Promise.resolve()

  constructor(options: SinkOptions) {
    this.#options = options
    this.#pollMs = options.pollMs ?? 100
    this.#maxEntries = options.maxEntries ?? 64
    this.#balanceMs = options.balanceMs ?? 1_000
  }

  start(): void {
    this.#balancing = this.#balance()
  }

  stats(): SinkStats {
    return { ...this.#stats, partitions: [...this.#held.keys()].sort() }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#balancing
    await Promise.all([...this.#held.values()].map((one) => one.done))
    await this.#options.pool.query('delete from metering.sinks where sink = $1', [this.#id]).catch(() => {})
  }

  /** Keeps this sink's share: takes free partitions up to it, and gives away what is above it. */
  async #balance(): Promise<void> {
    const { databaseUrl, stream, log, pool } = this.#options
    let away = false
    while (!this.#stop.signal.aborted) {
      try {
        const share = Math.ceil(stream.partitions / (await countLivingSinks(pool, this.#id)))
        const own = [...this.#held.values()].filter((one) => !one.lock.lost)
        for (const surplus of own.slice(share)) surplus.lock.lost = true
        for (let p = 0; p < stream.partitions && this.#held.size < share; p++) {
          if (this.#held.has(p)) continue
          const lock = await PartitionLock.tryTake(databaseUrl, p, log)
          if (lock !== undefined) this.#serve(lock)
        }
        if (away) log.info('the ledger is back')
        away = false
      } catch (fault) {
        if (!away) log.warn({ err: fault }, 'the ledger is away: the stream holds what comes')
        away = true
      }
      await this.#pause(this.#balanceMs)
    }
  }

  #serve(lock: PartitionLock): void {
    const done = this.#countPartition(lock)
      .catch((fault: unknown) => this.#options.log.error({ err: fault }, 'a partition of the stream stopped'))
      .then(() => lock.release())
      .finally(() => this.#held.delete(lock.partition))
    this.#held.set(lock.partition, { lock, done })
  }

  async #countPartition(lock: PartitionLock): Promise<void> {
    const { log } = this.#options
    let faulty = false
    while (!this.#stop.signal.aborted && !lock.lost) {
      try {
        const entries = await this.#countOnce(lock)
        if (faulty) log.info({ partition: lock.partition }, 'usage is counted again')
        faulty = false
        if (entries < this.#maxEntries) await this.#pause(this.#pollMs)
      } catch (fault) {
        if (!faulty) log.warn({ err: fault, partition: lock.partition }, 'usage cannot be counted: it waits')
        faulty = true
        await this.#pause(this.#balanceMs)
      }
    }
  }

  /** Steps (1) to (4). @returns how many entries were read. */
  async #countOnce(lock: PartitionLock): Promise<number> {
    const { stream, clock, log } = this.#options
    const received = await stream.read(lock.partition, this.#maxEntries)
    const last = received.at(-1)
    if (last === undefined) return 0
    const entries = received.flatMap(({ entry }) => (entry === undefined ? [] : [entry]))
    if (entries.length < received.length) {
      log.error(
        { partition: lock.partition, entries: received.length - entries.length },
        'foreign entries in the stream',
      )
    }
    if (entries.length > 0) {
      const counted = await recordBatch(lock.client, entries, clock.nowMs())
      this.#stats.batches += 1
      this.#stats.requests += counted.requests
      this.#stats.duplicates += counted.duplicates
      this.#stats.refused += counted.refused.length
      this.#stats.setAside += counted.setAside
      if (counted.setAside > 0) log.error({ records: counted.setAside }, 'unreadable usage records were set aside')
      const [gap] = counted.refused
      if (gap !== undefined) log.warn(gap, 'usage was refused behind a gap: its shipper sends again')
      await stream.publishMarks(counted.marks)
    }
    await stream.acknowledge(lock.partition, last.id)
    return received.length
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => {})
  }
}

async function countLivingSinks(pool: PostgresPool, sink: string): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `with seen as (insert into metering.sinks (sink) values ($1) on conflict (sink) do update set seen_at = now()),
       dead as (delete from metering.sinks where seen_at < now() - make_interval(secs => $2 * 10))
     select count(*)::int as count from metering.sinks
     where sink <> $1 and seen_at > now() - make_interval(secs => $2)`,
    [sink, DEAD_AFTER_MS / 1_000],
  )
  return (rows[0]?.count ?? 0) + 1
}
