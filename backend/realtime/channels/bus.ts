import { randomUUID } from 'node:crypto'
import type { Logger } from '../../../runtime/log.ts'
import { publishInOrder, type RedisClient } from '../../../runtime/redis.ts'

/** A message of another process: what it says about itself, and its bytes. */
export type BusMessage = { header: Readonly<Record<string, unknown>>; bytes: Buffer }
export type BusListener = (message: BusMessage) => void

const NEWLINE = 0x0a

/**
 * Redis pub/sub between backend processes. A process subscribes only to channels for which it has listeners, and never hears
 * itself: what is local is delivered locally, also while Redis is away. Delivery is at most once; `onGap` tells when messages
 * may have been missed.
 */
export class Bus {
  /** This process, to the others. */
  readonly instanceId = randomUUID()
  readonly #redis: RedisClient
  readonly #subscriber: RedisClient
  readonly #listeners = new Map<string, BusListener>()
  readonly #gapListeners = new Set<() => void>()
  readonly #log: Logger
  #wasReady = false
  #closed = false

  /** @param options.subscriber a connection of its own that waits while Redis is away. */
  constructor(options: { redis: RedisClient; subscriber: RedisClient; log: Logger }) {
    this.#redis = options.redis
    this.#subscriber = options.subscriber
    this.#log = options.log
    this.#subscriber.on('messageBuffer', this.#onMessage)
    this.#wasReady = this.#subscriber.status === 'ready'
    this.#subscriber.on('ready', this.#onReady)
  }

  /**
   * Has `listener` called with what other processes publish on `channel`, of which it is the only listener here. Resolves when
   * Redis has confirmed, which may take as long as Redis is away.
   */
  async subscribe(channel: string, listener: BusListener): Promise<void> {
    if (this.#listeners.has(channel)) throw new Error('A channel has one listener')
    this.#listeners.set(channel, listener)
    await this.#subscriber.subscribe(channel)
  }

  unsubscribe(channel: string): void {
    if (!this.#listeners.delete(channel) || this.#closed) return
    this.#subscriber.unsubscribe(channel).catch(() => {})
  }

  /** Resolves when Redis confirms (again) that it delivers `channel` to us. */
  async confirm(channel: string): Promise<void> {
    if (this.#listeners.has(channel)) await this.#subscriber.subscribe(channel)
  }

  /** Publishes to the other processes. While Redis is away the message is lost to them: broadcasts are at most once. */
  publish(channel: string, header: Readonly<Record<string, unknown>>, bytes: Buffer = Buffer.alloc(0)): Promise<void> {
    const head = Buffer.from(`${JSON.stringify({ ...header, from: this.instanceId })}\n`)
    return publishInOrder(this.#redis, channel, Buffer.concat([head, bytes])).then(
      () => {},
      () => {},
    )
  }

  /** Calls `listener` when the subscriptions were interrupted and stand again. */
  onGap(listener: () => void): void {
    this.#gapListeners.add(listener)
  }

  close(): void {
    this.#closed = true
    this.#subscriber.off('messageBuffer', this.#onMessage)
    this.#subscriber.off('ready', this.#onReady)
    this.#listeners.clear()
  }

  readonly #onReady = (): void => {
    if (!this.#wasReady) {
      this.#wasReady = true
      return
    }
    for (const listener of this.#gapListeners) listener()
  }

  readonly #onMessage = (channel: Buffer, data: Buffer): void => {
    const listener = this.#listeners.get(channel.toString())
    if (listener === undefined) return
    const end = data.indexOf(NEWLINE)
    try {
      const header = JSON.parse(data.toString('utf8', 0, end)) as Record<string, unknown>
      if (header.from !== this.instanceId) listener({ header, bytes: data.subarray(end + 1) })
    } catch (fault) {
      this.#log.error({ err: fault }, 'a message from another backend could not be handled')
    }
  }
}
