import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, systemClock } from '../runtime/clock.ts'
import { makeId } from '../runtime/ids.ts'
import type { Logger } from '../runtime/log.ts'
import type { UsageRecord, UsageWriter } from './contract.ts'
import { encodeRecord } from './record-codec.ts'
import { FRAME_HEADER_BYTES, sealFrame } from './segment-format.ts'
import { SegmentWriter, syncDirectory } from './segment-writer.ts'

/**
 * What a record is safe from once `onWritten` was called. The kill of this process never costs one. A loss of power costs:
 * `off`: what the kernel has not written yet (up to half a minute); a number: at most the records of about so many
 * milliseconds (synced in the background, never waited for); `each-batch`: nothing (`onWritten` waits for the disk; one sync
 * serves all records that came while the one before it ran).
 */
export type FsyncPolicy = 'off' | 'each-batch' | { everyMs: number }

export type SpoolOptions = {
  /** `<data dir>/spool`; the producer's own directory is made in it with the first record. */
  directory: string
  log: Logger
  clock?: Clock
  /** Default: every 1 000 ms. */
  fsync?: FsyncPolicy
  /** Default 16 MB. */
  maxSegmentBytes?: number
  /** Default 60 s. */
  maxSegmentAgeMs?: number
  /** What may wait in memory while the disk cannot be written; what comes on top is lost, counted and logged. Default 64 MB. */
  maxPendingBytes?: number
  /** How often a write that failed is tried again. Default 250 ms. */
  retryMs?: number
}

export type SpoolStats = {
  /** Records taken. */
  appended: number
  /** Records that are in the spool. */
  written: number
  /** Records that wait in memory. */
  pending: number
  /** Records lost because the disk could not be written and memory was full. */
  dropped: number
  /** Writes that failed. */
  writeErrors: number
}

export type Spool = UsageWriter & {
  /** The name under which this process's records are counted: one per process boot, sequences from 1. */
  readonly producer: string
  stats(): SpoolStats
}

const MAX_FRAME_RECORDS = 4_096
const TOUCH_MS = 30_000

/** Opens the spool of this process. Never throws: what cannot be written waits in memory (`maxPendingBytes`). */
export function openSpool(options: SpoolOptions): Spool {
  return new FileSpool(options)
}

class FileSpool implements Spool {
  readonly producer: string
  readonly #log: Logger
  readonly #clock: Clock
  readonly #fsync: FsyncPolicy
  readonly #directory: string
  readonly #maxPendingBytes: number
  readonly #retryMs: number
  readonly #segments: SegmentWriter
  #buffer = Buffer.allocUnsafe(64 * 1024)
  #lines: string[] = []
  #pendingBytes = 0
  #callbacks: (() => void)[] = []
  #nextSequence = 1
  #scheduled = false
  #closed = false
  /** Set while writes fail: serving goes on, and a timer tries again. */
  #failing: NodeJS.Timeout | undefined
  readonly #touchTimer: NodeJS.Timeout
  #syncTimer: NodeJS.Timeout | undefined
  #syncing: Promise<void> | undefined
  #awaitingSync: (() => void)[] = []
  #directorySynced = false
  #appended = 0
  #written = 0
  #dropped = 0
  #writeErrors = 0

  constructor(options: SpoolOptions) {
    this.#clock = options.clock ?? systemClock
    this.#log = options.log
    this.producer = makeId('prd', this.#clock.nowMs())
    this.#directory = join(options.directory, this.producer)
    this.#fsync = options.fsync ?? { everyMs: 1_000 }
    this.#maxPendingBytes = options.maxPendingBytes ?? 64 * 1024 * 1024
    this.#retryMs = options.retryMs ?? 250
    this.#segments = new SegmentWriter({
      directory: this.#directory,
      maxSegmentBytes: options.maxSegmentBytes ?? 16 * 1024 * 1024,
      maxSegmentAgeMs: options.maxSegmentAgeMs ?? 60_000,
      syncs: this.#fsync !== 'off',
    })
    this.#touchTimer = setInterval(() => void this.#segments.touch().catch(() => {}), TOUCH_MS)
    this.#touchTimer.unref()
    if (typeof this.#fsync === 'object') {
      this.#syncTimer = setInterval(() => void this.#syncInBackground(), this.#fsync.everyMs)
      this.#syncTimer.unref()
    }
  }

  append(record: UsageRecord, onWritten: () => void): void {
    this.#appended += 1
    if (this.#closed || this.#pendingBytes > this.#maxPendingBytes) {
      if (this.#dropped === 0) this.#log.error('usage records are being lost: the spool cannot be written')
      this.#dropped += 1
      onWritten()
      return
    }
    const line = encodeRecord(record)
    this.#lines.push(line)
    this.#pendingBytes += line.length
    if (this.#failing !== undefined) {
      onWritten()
      return
    }
    this.#callbacks.push(onWritten)
    if (this.#scheduled) return
    this.#scheduled = true
    // The check phase comes after all I/O callbacks of this turn: their records make one write.
    setImmediate(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  stats(): SpoolStats {
    return {
      appended: this.#appended,
      written: this.#written,
      pending: this.#lines.length,
      dropped: this.#dropped,
      writeErrors: this.#writeErrors,
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#flush()
    for (let attempt = 0; this.#lines.length > 0 && attempt < 8; attempt++) {
      await sleep(this.#retryMs)
      this.#flush()
    }
    this.#closed = true
    clearInterval(this.#failing)
    clearInterval(this.#syncTimer)
    clearInterval(this.#touchTimer)
    await this.#syncing
    if (this.#fsync !== 'off') await this.#segments.sync().catch((fault: unknown) => this.#reportSyncFault(fault))
    this.#settle(this.#awaitingSync.splice(0))
    if (this.#lines.length > 0) {
      this.#dropped += this.#lines.length
      this.#log.error(
        { records: this.#lines.length },
        'usage records are lost: the spool could not be written to the end',
      )
      this.#lines = []
    }
    try {
      this.#segments.close()
    } catch (fault) {
      this.#log.warn({ err: fault }, 'the spool did not close cleanly')
    }
  }

  #flush(): void {
    try {
      while (this.#lines.length > 0) this.#writeFrame()
    } catch (fault) {
      this.#writeErrors += 1
      this.#beginFailing(fault)
    }
    if (this.#failing !== undefined && this.#lines.length === 0) this.#endFailing()
    const callbacks = this.#callbacks
    if (callbacks.length === 0) return
    this.#callbacks = []
    if (this.#fsync === 'each-batch' && this.#failing === undefined) {
      for (const callback of callbacks) this.#awaitingSync.push(callback)
      void this.#syncAndSettle()
    } else {
      this.#settle(callbacks)
    }
  }

  #writeFrame(): void {
    const all = this.#lines.length <= MAX_FRAME_RECORDS
    const lines = all ? this.#lines : this.#lines.slice(0, MAX_FRAME_RECORDS)
    const text = lines.join('\n')
    const needed = FRAME_HEADER_BYTES + text.length * 3
    if (this.#buffer.length < needed) this.#buffer = Buffer.allocUnsafe(needed * 2)
    const payloadBytes = this.#buffer.write(text, FRAME_HEADER_BYTES, 'utf8')
    const end = sealFrame(this.#buffer, payloadBytes, this.#nextSequence, lines.length)
    this.#segments.write(this.#buffer.subarray(0, end), this.#nextSequence, this.#clock.monotonicMs())
    this.#nextSequence += lines.length
    this.#written += lines.length
    this.#lines = all ? [] : this.#lines.slice(MAX_FRAME_RECORDS)
    this.#pendingBytes = all ? 0 : this.#pendingBytes - (text.length - lines.length + 1)
  }

  #beginFailing(fault: unknown): void {
    if (this.#failing !== undefined) return
    this.#log.error({ err: fault }, 'the spool cannot be written: usage records wait in memory')
    this.#failing = setInterval(() => this.#flush(), this.#retryMs)
    this.#failing.unref()
  }

  #endFailing(): void {
    clearInterval(this.#failing)
    this.#failing = undefined
    this.#log.info({ dropped: this.#dropped }, 'the spool is written again')
  }

  /** Group commit: one sync for all that was written before it began; what comes meanwhile waits for the next. */
  async #syncAndSettle(): Promise<void> {
    if (this.#syncing !== undefined) return
    while (this.#awaitingSync.length > 0) {
      const callbacks = this.#awaitingSync
      this.#awaitingSync = []
      await this.#syncInBackground()
      this.#settle(callbacks)
    }
  }

  #syncInBackground(): Promise<void> {
    if (this.#syncing !== undefined) return this.#syncing
    if (!this.#segments.hasUnsynced) return Promise.resolve()
    this.#syncing = (async () => {
      try {
        if (!this.#directorySynced) await syncDirectory(this.#directory)
        this.#directorySynced = true
        await this.#segments.sync()
      } catch (fault) {
        this.#reportSyncFault(fault)
      } finally {
        this.#syncing = undefined
      }
    })()
    return this.#syncing
  }

  #reportSyncFault(fault: unknown): void {
    this.#log.error({ err: fault }, 'the spool could not be synced to disk')
  }

  /** Calls each; a fault of one is not the others'. */
  #settle(callbacks: readonly (() => void)[]): void {
    for (const callback of callbacks) {
      try {
        callback()
      } catch (fault) {
        this.#log.error({ err: fault }, 'a response could not be ended after its usage was written')
      }
    }
  }
}
