import type { Logger } from '../runtime/log.ts'
import type { ProducerLease } from './producer-lease.ts'
import type { SpoolReader } from './spool-reader.ts'
import { partitionOf, type StreamEntry, type UsageStream } from './stream.ts'

/** Entries of one producer that may wait for the ledger's mark: bounds what is sent again after a loss. */
const MAX_IN_FLIGHT = 64

type InFlight = { id: string; lastSequence: number }

/**
 * The shipment of one producer's records: read, sent, and kept until the ledger's mark has passed them. When the mark stands
 * still and what was sent is no longer in the stream (lost, or refused by the sink), sending begins again behind the mark.
 */
export class ProducerShipment {
  readonly producer: string
  readonly #reader: SpoolReader
  readonly #lease: ProducerLease
  readonly #stream: UsageStream
  readonly #partition: number
  readonly #stallMs: number
  readonly #log: Logger
  #mark: number | undefined
  #outbox: StreamEntry[] = []
  #inFlight: InFlight[] = []
  #lastProgressMs = 0

  constructor(options: {
    reader: SpoolReader
    lease: ProducerLease
    stream: UsageStream
    stallMs: number
    log: Logger
  }) {
    this.producer = options.reader.producer
    this.#reader = options.reader
    this.#lease = options.lease
    this.#stream = options.stream
    this.#partition = partitionOf(this.producer, options.stream.partitions)
    this.#stallMs = options.stallMs
    this.#log = options.log
  }

  get isWaitingForMark(): boolean {
    return this.#inFlight.length > 0
  }

  /** Takes or keeps the lease; begins behind the mark that is published. */
  async claim(nowMs: number): Promise<boolean> {
    if (!(await this.#lease.claim(nowMs))) {
      this.#mark = undefined
      this.#outbox = []
      this.#inFlight = []
      return false
    }
    if (this.#mark === undefined) {
      const published = (await this.#stream.readMarks([this.producer])).get(this.producer)
      if (published !== undefined) await this.#reader.rewind(published + 1)
      this.#mark = published ?? ((await this.#reader.firstSequence()) ?? 1) - 1
      this.#lastProgressMs = nowMs
    }
    return true
  }

  /** Sends what is there, as far as the stream and the window have room. @returns true when there is more. */
  async send(nowMs: number): Promise<boolean> {
    if (this.#inFlight.length >= MAX_IN_FLIGHT) return false
    if (this.#outbox.length === 0) this.#outbox = await this.#reader.read(nowMs)
    if (this.#outbox.length === 0) return false
    if (this.#inFlight.length === 0) this.#lastProgressMs = nowMs
    const ids = await this.#stream.append(this.#partition, this.#outbox)
    for (const id of ids) {
      const entry = this.#outbox.shift()
      if (entry !== undefined) this.#inFlight.push({ id, lastSequence: entry.firstSequence + entry.count - 1 })
    }
    return this.#outbox.length === 0
  }

  /**
   * Learns how far the ledger has counted: frees segments, and sends again what was lost.
   * @returns true when the producer is done and its directory is gone.
   */
  async learnMark(published: number | undefined, nowMs: number): Promise<boolean> {
    if (published !== undefined && published !== this.#mark) {
      this.#mark = published
      this.#lastProgressMs = nowMs
      await this.#reader.deleteThrough(published)
    }
    const mark = this.#mark ?? 0
    while ((this.#inFlight[0]?.lastSequence ?? Number.POSITIVE_INFINITY) <= mark) this.#inFlight.shift()
    const [oldest] = this.#inFlight
    if (oldest === undefined) return this.#finishIfDone()
    if (nowMs - this.#lastProgressMs < this.#stallMs) return false
    this.#lastProgressMs = nowMs
    if (await this.#stream.holds(this.#partition, oldest.id)) return false
    this.#log.warn({ producer: this.producer, mark }, 'usage was lost on its way: sending it again')
    this.#outbox = []
    this.#inFlight = []
    await this.#reader.rewind(mark + 1)
    return false
  }

  /** Gives the directory to whoever ships it next. */
  async release(): Promise<void> {
    await this.#lease.release()
  }

  async #finishIfDone(): Promise<boolean> {
    if (!this.#reader.ended || this.#outbox.length > 0) return false
    await this.#reader.deleteAll()
    await this.#stream.forgetMark(this.producer)
    return true
  }
}
