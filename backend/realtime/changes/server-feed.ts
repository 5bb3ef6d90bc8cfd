import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from '../../../runtime/log.ts'
import type { RedisClient } from '../../../runtime/redis.ts'
import type { ConnectionTarget } from '../../postgres/connection.ts'
import type { Bus } from '../channels/bus.ts'
import { ReplicationStream } from './replication-stream.ts'
import type { ChangeBatch } from './row-change.ts'
import { dropSlot, ensureSlot, isSlotActive, loadTypeNames, PUBLICATION, slotName, tryLead } from './slot.ts'
import { TransactionReader } from './transaction-reader.ts'

export type ServerFeedOptions = {
  server: string
  /** Where and as whom to read; asked anew at every try. @throws when it cannot be told. */
  findTarget: () => Promise<ConnectionTarget>
  bus: Bus
  redis: RedisClient
  /** What the stream tells, while this process leads. */
  onBatch: (batch: ChangeBatch) => void
  /** Changes may have been missed, by every process. */
  onGap: () => void
  /** Changes flow, or no longer do. */
  onFlow: (isFlowing: boolean) => void
  /** Changes cannot be read, and it is tried again. Called once for a row of failures. */
  onFault: () => void
  pollMs?: number
  log: Logger
}

/** How often a process that does not lead looks whether it could. */
const POLL_MS = 1_000
const MAX_BACK_OFF_MS = 10_000
/** A process is interested in the server's changes for this long after it last said so. */
const INTEREST_MS = 30_000
/** Batches under way to Redis at which reading stops, and goes on. */
const MAX_UNDER_WAY = 1_000
const STATEMENT_TIMEOUT_MS = 30_000

/**
 * One database server's stream of changes, read by exactly one of the processes that have subscribers there. All of them run
 * one of these: `waiting` until the advisory lock is theirs, then `leading` until the session ends, however it ends. The slot
 * remains when a leader dies, so the next one goes on where it stopped; the last one that leaves takes the slot with it.
 */
export class ServerFeed {
  readonly #options: ServerFeedOptions
  readonly #stop = new AbortController()
  readonly #waiters = new Set<() => void>()
  #isFlowing = false
  /** Set once changes have flowed here: a slot that has to be made after that means that some were missed. */
  #hasFlowed = false
  #running: Promise<void> | undefined

  constructor(options: ServerFeedOptions) {
    this.#options = options
  }

  start(): void {
    this.#running ??= this.#run()
  }

  get isFlowing(): boolean {
    return this.#isFlowing
  }

  /** Resolves when changes flow; at once when they do. */
  whenFlowing(): Promise<void> {
    if (this.#isFlowing) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.add(resolve))
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    for (let attempt = 0; !this.#stop.signal.aborted; ) {
      const startedAtMs = performance.now()
      try {
        await this.#session()
      } catch (fault) {
        if (attempt === 0 && !this.#stop.signal.aborted) {
          this.#options.log.warn({ err: fault, server: this.#options.server }, 'changes cannot be read; trying again')
          this.#options.onFault()
        }
      }
      this.#setFlowing(false)
      attempt = performance.now() - startedAtMs > MAX_BACK_OFF_MS ? 0 : attempt + 1
      await this.#pause(Math.min(100 * 2 ** attempt, MAX_BACK_OFF_MS))
    }
  }

  /** One session: waits for the lead, leads, and ends with the connection. */
  async #session(): Promise<void> {
    const target = await this.#options.findTarget()
    const client = new pg.Client({
      ...target,
      application_name: 'aerodb-realtime-lead',
      connectionTimeoutMillis: 5_000,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      keepAlive: true,
    })
    const lost = new AbortController()
    client.on('error', () => lost.abort())
    client.on('end', () => lost.abort())
    try {
      await client.connect()
      const slot = await slotName(client)
      await this.#beat()
      while (!(await tryLead(client))) {
        this.#setFlowing(await isSlotActive(client, slot))
        await this.#pause(this.#options.pollMs ?? POLL_MS)
        if (this.#stop.signal.aborted) return
        await this.#beat()
      }
      await this.#lead(client, target, slot, lost.signal)
      if (this.#stop.signal.aborted && (await this.#isLast())) await this.#dropSlot(client, slot)
    } finally {
      await client.end().catch(() => {})
    }
  }

  async #lead(client: pg.Client, target: ConnectionTarget, slot: string, lost: AbortSignal): Promise<void> {
    const { bus, server, onBatch, log } = this.#options
    const found = await ensureSlot(client, slot)
    const typeNames = await loadTypeNames(client)
    const ended = new AbortController()
    let underWay: Promise<void>[] = []
    let underWayCount = 0
    const reader = new TransactionReader({
      typeNames,
      onBatch: (batch) => {
        onBatch(batch)
        const release = stream.hold()
        underWayCount += 1
        if (underWayCount === MAX_UNDER_WAY) stream.pause()
        const told = bus.publish(changesChannel(server, batch.schema), { type: 'changes' }, encodeBatch(batch))
        underWay.push(
          told.then(() => {
            release()
            underWayCount -= 1
            if (underWayCount === MAX_UNDER_WAY / 2) stream.resume()
          }),
        )
      },
      onCommit: (endLsn) => {
        const release = stream.hold()
        const all = Promise.all(underWay)
        underWay = []
        void all.then(() => {
          stream.confirm(endLsn)
          release()
        })
      },
    })
    const stream = new ReplicationStream({
      target,
      slot,
      publication: PUBLICATION,
      onMessage: (message) => reader.read(message),
      onEnd: (fault) => {
        if (fault !== undefined && !this.#stop.signal.aborted)
          log.warn({ err: fault, server }, 'the stream of changes ended')
        ended.abort()
      },
    })
    await stream.start()
    log.info({ server, slot: found }, 'reading the changes of a server')
    if (found === 'remade' || (found === 'made' && this.#hasFlowed)) {
      log.error({ server }, 'the slot was lost: changes were missed')
      this.#options.onGap()
      void bus.publish(feedChannel(server), { type: 'gap' })
    }
    this.#setFlowing(true)
    const over = AbortSignal.any([this.#stop.signal, lost, ended.signal])
    try {
      while (!over.aborted) {
        await this.#beat()
        await sleep(INTEREST_MS / 3, undefined, { signal: over, ref: false }).catch(() => {})
      }
    } finally {
      await stream.close()
    }
  }

  #setFlowing(isFlowing: boolean): void {
    if (this.#isFlowing !== isFlowing) {
      this.#isFlowing = isFlowing
      this.#options.onFlow(isFlowing)
    }
    if (!isFlowing) return
    this.#hasFlowed = true
    for (const waiter of this.#waiters) waiter()
    this.#waiters.clear()
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => {})
  }

  /** Says that this process has subscribers on the server. */
  async #beat(): Promise<void> {
    const { redis, bus, server } = this.#options
    await redis.zadd(interestKey(server), Date.now(), bus.instanceId).catch(() => {})
  }

  /** True when no other process has subscribers there; while Redis cannot tell, there may be some. */
  async #isLast(): Promise<boolean> {
    const { redis, bus, server } = this.#options
    try {
      await redis.zrem(interestKey(server), bus.instanceId)
      return (await redis.zcount(interestKey(server), Date.now() - INTEREST_MS, '+inf')) === 0
    } catch {
      return false
    }
  }

  /** The server needs a moment to see that the stream has ended. */
  async #dropSlot(client: pg.Client, slot: string): Promise<void> {
    for (let tries = 0; tries < 30; tries++) {
      if (!(await isSlotActive(client, slot))) {
        await dropSlot(client, slot)
        return
      }
      await sleep(50)
    }
  }
}

/** Where a server's leader tells the other processes about changes of one schema, and about its stream. */
export function changesChannel(server: string, schema: string): string {
  return `aerodb:realtime:changes:{${server}}:${schema}`
}

export function feedChannel(server: string): string {
  return `aerodb:realtime:feed:{${server}}`
}

function interestKey(server: string): string {
  return `aerodb:realtime:interest:{${server}}`
}

function encodeBatch(batch: ChangeBatch): Buffer {
  return Buffer.from(JSON.stringify(batch))
}

/** Reads what another process's leader told. */
export function decodeBatch(bytes: Buffer): ChangeBatch {
  return JSON.parse(bytes.toString()) as ChangeBatch
}
