import {
  close,
  closeSync,
  fdatasync,
  fsync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  utimes,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ownIdentity } from './process-identity.ts'
import { segmentName } from './segment-format.ts'

const fdatasyncAsync = promisify(fdatasync)
const fsyncAsync = promisify(fsync)
const closeAsync = promisify(close)
const utimesAsync = promisify(utimes)

/** Names the process that writes here while it lives; renamed to `CLOSED_FILE` when the writer ends in good order. */
export const WRITER_FILE = 'writer.json'
export const CLOSED_FILE = 'closed.json'

export type SegmentWriterOptions = {
  /** The producer's own directory; made with the first write. */
  directory: string
  maxSegmentBytes: number
  maxSegmentAgeMs: number
  /** Whether `sync` is going to be called: then a finished segment stays open until it is synced. */
  syncs: boolean
}

/**
 * Appends frames to the segment files of one producer. A failed write leaves no half frame behind where that can be helped
 * (the file is cut back), and the next write goes to a new segment, so a reader never meets a frame after damage.
 */
export class SegmentWriter {
  readonly #options: SegmentWriterOptions
  #fd: number | undefined
  #bytes = 0
  #openedAtMs = 0
  #made = false
  /** Written since the last sync, by file; those of earlier segments are closed after it. */
  readonly #unsynced = new Set<number>()
  readonly #retired = new Set<number>()

  constructor(options: SegmentWriterOptions) {
    this.#options = options
  }

  /**
   * Writes one frame whole, into the open segment or a new one.
   * @throws the system's error (ENOSPC, EIO ...); then nothing of the frame counts as written.
   */
  write(frame: Uint8Array, firstSequence: number, monotonicMs: number): void {
    const fd = this.#segmentFor(firstSequence, monotonicMs)
    let written = 0
    try {
      while (written < frame.length) written += writeSync(fd, frame, written, frame.length - written)
    } catch (fault) {
      this.#abandon(fd)
      throw fault
    }
    this.#bytes += frame.length
    if (this.#options.syncs) this.#unsynced.add(fd)
  }

  /** Makes all that was written up to now safe from a loss of power. @throws the system's error. */
  async sync(): Promise<void> {
    const fds = [...this.#unsynced]
    this.#unsynced.clear()
    try {
      await Promise.all(fds.map((fd) => fdatasyncAsync(fd)))
    } finally {
      // A failed sync cannot be repeated (the kernel has dropped the pages): nothing is gained by keeping the file open.
      for (const fd of fds) if (this.#retired.delete(fd)) await closeAsync(fd)
    }
  }

  /** A sign of life, for shippers that cannot look this process up (another container). */
  async touch(): Promise<void> {
    const now = new Date()
    if (this.#made) await utimesAsync(join(this.#options.directory, WRITER_FILE), now, now)
  }

  get hasUnsynced(): boolean {
    return this.#unsynced.size > 0
  }

  /** Closes the files and leaves word that the writer has ended. Sync first where that is promised. */
  close(): void {
    for (const fd of this.#retired) closeSync(fd)
    this.#retired.clear()
    this.#unsynced.clear()
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
    if (this.#made) renameSync(join(this.#options.directory, WRITER_FILE), join(this.#options.directory, CLOSED_FILE))
    this.#made = false
  }

  #segmentFor(firstSequence: number, monotonicMs: number): number {
    const { directory, maxSegmentBytes, maxSegmentAgeMs } = this.#options
    if (this.#fd !== undefined) {
      if (this.#bytes < maxSegmentBytes && monotonicMs - this.#openedAtMs < maxSegmentAgeMs) return this.#fd
      this.#retire(this.#fd)
    }
    if (!this.#made) {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      const file = join(directory, WRITER_FILE)
      writeFileSync(`${file}.tmp`, JSON.stringify(ownIdentity()), { mode: 0o600 })
      renameSync(`${file}.tmp`, file)
      this.#made = true
    }
    // Exclusive would fail after a write that failed before its first byte: the same name is simply begun anew.
    const fd = this.#open(join(directory, segmentName(firstSequence)))
    this.#fd = fd
    this.#bytes = 0
    this.#openedAtMs = monotonicMs
    return fd
  }

  #open(path: string): number {
    try {
      return openSync(path, 'w', 0o600)
    } catch (fault) {
      // Somebody took the directory away: the next try makes it again.
      if ((fault as NodeJS.ErrnoException).code === 'ENOENT') this.#made = false
      throw fault
    }
  }

  #retire(fd: number): void {
    this.#fd = undefined
    if (this.#unsynced.has(fd)) this.#retired.add(fd)
    else closeSync(fd)
  }

  #abandon(fd: number): void {
    try {
      ftruncateSync(fd, this.#bytes)
    } catch {
      // The half frame stays; the reader stops at it and goes on with the next segment.
    }
    this.#retire(fd)
  }
}

/** Makes a new segment's name safe from a loss of power too. */
export async function syncDirectory(directory: string): Promise<void> {
  const fd = openSync(directory, 'r')
  try {
    await fsyncAsync(fd)
  } finally {
    closeSync(fd)
  }
}
