import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, systemClock } from '../runtime/clock.ts'
import { isId } from '../runtime/ids.ts'
import type { Logger } from '../runtime/log.ts'
import { connectRedis } from '../runtime/redis.ts'
import { ProducerLease } from './producer-lease.ts'
import { ProducerShipment } from './producer-shipment.ts'
import { RedisUsageStream } from './redis-stream.ts'
import { SpoolReader } from './spool-reader.ts'
import type { UsageStream } from './stream.ts'

export type ShipperOptions = {
  /** `<data dir>/spool`: the directories of all producers of this machine. */
  directory: string
  redisUrls: readonly string[]
  log: Logger
  clock?: Clock
  /** How often segments are looked at. Default 100 ms. */
  pollMs?: number
  /** How often new producers, and orphans of dead shippers, are looked for. Default 500 ms. */
  scanMs?: number
  /** For how long a mark may stand still before it is checked whether what was sent is lost. Default 2 000 ms. */
  stallMs?: number
}

export type Shipper = {
  /** Producers that this shipper holds the lease of. */
  producers(): string[]
  /** Sends what is there once more and gives all leases back; what is not counted yet is the next shipper's. */
  close(): Promise<void>
}

/**
 * Ships every spool under `directory` to the stream: those of living processes while they write, and those that dead ones
 * left. Any number of shippers may run over one directory; each producer has exactly one at a time. Redis away or full: the
 * spool holds, and nobody waits.
 */
export function startShipper(options: ShipperOptions): Shipper {
  const redis = connectRedis({
    urls: options.redisUrls,
    connectionName: 'aerodb-usage-shipper',
    log: options.log,
    whenAway: 'fail-fast',
    commandTimeoutMs: 5_000,
  })
  const shipper = new DirectoryShipper(options, new RedisUsageStream(redis))
  shipper.start()
  return {
    producers: () => shipper.producers(),
    close: async () => {
      await shipper.close()
      redis.disconnect()
    },
  }
}

/** Waits for work on one producer; a fault is kept for the end of the round, and `undefined` comes instead. */
type Attempt = <Result>(work: Promise<Result>) => Promise<Result | undefined>

/** The shipper over any stream; see `startShipper`. */
export class DirectoryShipper implements Shipper {
  readonly #directory: string
  readonly #stream: UsageStream
  readonly #clock: Clock
  readonly #log: Logger
  readonly #pollMs: number
  readonly #scanMs: number
  readonly #stallMs: number
  readonly #holder = randomBytes(6).toString('hex')
  /** Shipments by producer, of which the lease is held. */
  readonly #held = new Map<string, ProducerShipment>()
  readonly #waiting = new Map<string, ProducerShipment>()
  #lastScanMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #round: Promise<void> = Promise.resolve()
  #closed = false
  #faulty = false

  constructor(options: Omit<ShipperOptions, 'redisUrls'>, stream: UsageStream) {
    this.#directory = options.directory
    this.#stream = stream
    this.#clock = options.clock ?? systemClock
    this.#log = options.log
    this.#pollMs = options.pollMs ?? 100
    this.#scanMs = options.scanMs ?? 500
    this.#stallMs = options.stallMs ?? 2_000
  }

  start(): void {
    const round = () => {
      this.#round = this.tick().then((busy) => {
        if (!this.#closed) this.#timer = setTimeout(round, busy ? 0 : this.#pollMs)
      })
    }
    round()
  }

  producers(): string[] {
    return [...this.#held.keys()]
  }

  /**
   * One round over all producers; one that cannot be read or sent does not hold up the others.
   * @returns true when there is more to send at once. Never throws.
   */
  async tick(): Promise<boolean> {
    const nowMs = this.#clock.nowMs()
    const faults: unknown[] = []
    const attempt = <Result>(work: Promise<Result>): Promise<Result | undefined> =>
      work.catch((fault: unknown) => {
        faults.push(fault)
        return undefined
      })
    if (nowMs - this.#lastScanMs >= this.#scanMs) {
      this.#lastScanMs = nowMs
      await attempt(this.#scan(nowMs, attempt))
    }
    const busy = await Promise.all([...this.#held.values()].map((shipment) => attempt(this.#sendAll(shipment, nowMs))))
    await attempt(this.#learnMarks(attempt))
    this.#noteFaults(faults)
    return faults.length === 0 && busy.includes(true)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#round
    clearTimeout(this.#timer)
    this.#lastScanMs = Number.NEGATIVE_INFINITY
    await this.tick()
    for (const shipment of [...this.#held.values(), ...this.#waiting.values()]) await shipment.release()
    this.#held.clear()
    this.#waiting.clear()
  }

  #noteFaults(faults: readonly unknown[]): void {
    const [fault] = faults
    if (fault !== undefined && !this.#faulty) {
      this.#log.warn({ err: fault, faults: faults.length }, 'usage cannot be shipped: the spool holds it')
    }
    if (fault === undefined && this.#faulty) this.#log.info('usage is shipped again')
    this.#faulty = fault !== undefined
  }

  async #scan(nowMs: number, attempt: Attempt): Promise<void> {
    const names = (await readdir(this.#directory).catch(() => [])).filter((name) => isId('prd', name))
    const present = new Set(names)
    for (const known of this.#waiting.keys()) if (!present.has(known)) this.#waiting.delete(known)
    for (const producer of names) {
      const shipment = this.#held.get(producer) ?? this.#waiting.get(producer) ?? this.#newShipment(producer)
      // Known from here on, also when the claim is cut off (Redis away): the lease may be taken already.
      if (!this.#held.has(producer)) this.#waiting.set(producer, shipment)
      const mine = await attempt(shipment.claim(nowMs))
      if (mine === undefined) continue
      ;(mine ? this.#held : this.#waiting).set(producer, shipment)
      ;(mine ? this.#waiting : this.#held).delete(producer)
    }
  }

  #newShipment(producer: string): ProducerShipment {
    return new ProducerShipment({
      reader: new SpoolReader(this.#directory, producer, this.#log),
      lease: new ProducerLease(join(this.#directory, producer), this.#holder),
      stream: this.#stream,
      stallMs: this.#stallMs,
      log: this.#log,
    })
  }

  async #sendAll(shipment: ProducerShipment, nowMs: number): Promise<boolean> {
    // A bounded number of rounds each, so that one producer's backlog does not hold up the others' marks.
    for (let round = 0; round < 4; round++) if (!(await shipment.send(nowMs))) return false
    return true
  }

  async #learnMarks(attempt: Attempt): Promise<void> {
    if (this.#held.size === 0) return
    const marks = await this.#stream.readMarks([...this.#held.keys()])
    const nowMs = this.#clock.nowMs()
    for (const [producer, shipment] of this.#held) {
      if (await attempt(shipment.learnMark(marks.get(producer), nowMs))) this.#held.delete(producer)
    }
  }
}
