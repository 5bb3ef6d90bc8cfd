import { open, readdir, readFile, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../runtime/log.ts'
import { lookUpProcess, parseIdentity } from './process-identity.ts'
import {
  FRAME_HEADER_BYTES,
  findNextFrame,
  MAX_FRAME_BYTES,
  parseSegmentName,
  readFrame,
  segmentName,
} from './segment-format.ts'
import { CLOSED_FILE, WRITER_FILE } from './segment-writer.ts'
import type { StreamEntry } from './stream.ts'

const CHUNK_BYTES = 1024 * 1024
const MAX_ENTRY_BYTES = 256 * 1024
const MAX_ENTRY_RECORDS = 2_000
/** A writer that cannot be looked up (another container) touches its file every half minute while it lives. */
const FOREIGN_WRITER_MS = 600_000
/** A directory without any writer's file is being made, or was left by a writer killed in that moment. */
const NAMELESS_WRITER_MS = 60_000

type Place = { segment: number; offset: number; nextSequence: number }

/**
 * Reads one producer's segments in order while they are written, and says what to send. It goes back where it is told to, and
 * deletes only what it is told has been counted.
 */
export class SpoolReader {
  readonly producer: string
  readonly #directory: string
  readonly #log: Logger
  #place: Place | undefined
  #ended = false

  constructor(spoolDirectory: string, producer: string, log: Logger) {
    this.producer = producer
    this.#directory = join(spoolDirectory, producer)
    this.#log = log
  }

  /** True once the `end` entry was given out, or when there is nothing to say: nothing more is to come. */
  get ended(): boolean {
    return this.#ended
  }

  /** The oldest sequence that is still here: all before it was counted. */
  async firstSequence(): Promise<number | undefined> {
    return (await this.#segments())[0]
  }

  /** Goes back so that `sequence` is given out again (with what stands in front of it in its frame). */
  async rewind(sequence: number): Promise<void> {
    const segments = await this.#segments()
    const segment = segments.findLast((first) => first <= sequence) ?? segments[0]
    this.#ended = false
    this.#place = segment === undefined ? undefined : { segment, offset: 0, nextSequence: sequence }
  }

  /** The next entries, at most about a megabyte of them; none when all that is written was given out. */
  async read(nowMs: number): Promise<StreamEntry[]> {
    if (this.#ended) return []
    // Whether the writer is gone is asked before its files are read: then nothing can be written after the reading.
    const lastSeenMs = await this.#writerGoneSince(nowMs)
    const segments = await this.#segments()
    const [first] = segments
    if (first === undefined) {
      // Nothing was ever written, or a deletion was cut off: nothing is left to say.
      if (lastSeenMs !== undefined) this.#ended = true
      return []
    }
    this.#place ??= { segment: first, offset: 0, nextSequence: first }
    const packer = new EntryPacker(this.producer)
    for (;;) {
      const place: Place = this.#place
      const next: number | undefined = segments.find((candidate) => candidate > place.segment)
      const finished = next !== undefined || lastSeenMs !== undefined
      const reachedEnd = await this.#readChunk(place, finished, packer)
      if (!reachedEnd) return packer.take()
      if (next === undefined) break
      if (next > place.nextSequence) this.#reportHole(place.nextSequence, next - 1, packer)
      this.#place = { segment: next, offset: 0, nextSequence: Math.max(place.nextSequence, next) }
      if (packer.bytes >= CHUNK_BYTES) return packer.take()
    }
    const entries = packer.take()
    if (lastSeenMs !== undefined && entries.length === 0) {
      this.#ended = true
      const payload = Buffer.from(String(Math.floor(lastSeenMs)))
      entries.push({ kind: 'end', producer: this.producer, firstSequence: this.#place.nextSequence, count: 1, payload })
    }
    return entries
  }

  /** Deletes the segments of which every record is counted. The newest one stays: its writer may go on. */
  async deleteThrough(mark: number): Promise<void> {
    // A reader that was sent back may stand in front of the mark, in a segment that goes now.
    if (this.#place !== undefined) this.#place.nextSequence = Math.max(this.#place.nextSequence, mark + 1)
    const segments = await this.#segments()
    for (const [i, segment] of segments.entries()) {
      const next = segments[i + 1]
      if (next === undefined || next - 1 > mark) return
      await rm(join(this.#directory, segmentName(segment)), { force: true })
    }
  }

  /** Deletes all that is left of a producer whose end is counted: segments oldest first, then the rest. */
  async deleteAll(): Promise<void> {
    for (const segment of await this.#segments()) await rm(join(this.#directory, segmentName(segment)), { force: true })
    for (const name of await readdir(this.#directory).catch(() => [])) {
      await rm(join(this.#directory, name), { force: true })
    }
    await rmdir(this.#directory).catch(() => {})
  }

  /** Reads frames from `place` on. True when the segment has no more of them (for now, or for good when `finished`). */
  async #readChunk(place: Place, finished: boolean, packer: EntryPacker): Promise<boolean> {
    let { bytes, atEnd } = await this.#readBytes(place, CHUNK_BYTES)
    if (!atEnd && readFrame(bytes, 0).state !== 'frame') {
      const whole = await this.#readBytes(place, FRAME_HEADER_BYTES + MAX_FRAME_BYTES)
      bytes = whole.bytes
      atEnd = whole.atEnd
    }
    let at = 0
    for (;;) {
      const found = readFrame(bytes, at)
      if (found.state === 'frame') {
        const { firstSequence, count } = found.frame
        if (firstSequence > place.nextSequence) this.#reportHole(place.nextSequence, firstSequence - 1, packer)
        if (firstSequence + count > place.nextSequence) {
          packer.add(found.frame)
          place.nextSequence = firstSequence + count
        }
        at = found.end
        continue
      }
      const more = at > 0 && !atEnd && found.state === 'incomplete'
      if (!more && finished && at < bytes.length) {
        const intact = findNextFrame(bytes, at)
        const damaged = { producer: this.producer, segment: place.segment, offset: place.offset + at }
        if (intact !== undefined) {
          this.#log.error({ ...damaged, bytes: intact - at }, 'a spool segment is damaged: going on behind the damage')
          at = intact
          continue
        }
        this.#log.warn({ ...damaged, bytes: bytes.length - at }, 'cut the torn tail of a spool segment')
        at = bytes.length
      }
      place.offset += at
      return atEnd
    }
  }

  /** A segment that is gone reads as an empty one: what it held and nobody counted shows as a hole before the next. */
  async #readBytes(place: Place, length: number): Promise<{ bytes: Buffer; atEnd: boolean }> {
    const file = await open(join(this.#directory, segmentName(place.segment))).catch((fault: NodeJS.ErrnoException) => {
      if (fault.code !== 'ENOENT') throw fault
    })
    if (file === undefined) return { bytes: Buffer.alloc(0), atEnd: true }
    try {
      const { size } = await file.stat()
      const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - place.offset)))
      const { bytesRead } = await file.read(bytes, 0, bytes.length, place.offset)
      return { bytes: bytes.subarray(0, bytesRead), atEnd: place.offset + bytesRead >= size }
    } finally {
      await file.close()
    }
  }

  #reportHole(firstSequence: number, lastSequence: number, packer: EntryPacker): void {
    this.#log.error(
      { producer: this.producer, firstSequence, lastSequence },
      'usage records are missing from the spool',
    )
    packer.addHole(firstSequence, lastSequence - firstSequence + 1)
  }

  /** First sequences of the segments that are there, ascending. */
  async #segments(): Promise<number[]> {
    const names = await readdir(this.#directory).catch((fault: NodeJS.ErrnoException) => {
      if (fault.code === 'ENOENT') return []
      throw fault
    })
    return names
      .map(parseSegmentName)
      .filter((first) => first !== undefined)
      .sort((a, b) => a - b)
  }

  /** When the writer was last seen, if it is gone; `undefined` while it may still write. */
  async #writerGoneSince(nowMs: number): Promise<number | undefined> {
    const writer = await changedAtMs(join(this.#directory, WRITER_FILE))
    if (writer === undefined) {
      const closed = await changedAtMs(join(this.#directory, CLOSED_FILE))
      if (closed !== undefined) return closed
      const made = await changedAtMs(this.#directory)
      return made !== undefined && nowMs - made > NAMELESS_WRITER_MS ? made : undefined
    }
    const identity = parseIdentity(await readFile(join(this.#directory, WRITER_FILE), 'utf8').catch(() => ''))
    const state = identity === undefined ? 'unknown' : lookUpProcess(identity)
    const newest = (await this.#segments()).at(-1)
    const written = newest === undefined ? 0 : await changedAtMs(join(this.#directory, segmentName(newest)))
    const lastSeen = Math.max(writer, written ?? 0)
    if (state === 'gone') return lastSeen
    return state === 'unknown' && nowMs - lastSeen > FOREIGN_WRITER_MS ? lastSeen : undefined
  }
}

/** Packs frames that follow each other into entries of a good size for the stream. */
class EntryPacker {
  readonly #producer: string
  readonly #entries: StreamEntry[] = []
  #parts: Buffer[] = []
  #firstSequence = 0
  #count = 0
  #openBytes = 0
  bytes = 0

  constructor(producer: string) {
    this.#producer = producer
  }

  add(frame: { firstSequence: number; count: number; payload: Buffer }): void {
    const follows = this.#count > 0 && this.#firstSequence + this.#count === frame.firstSequence
    const fits = this.#openBytes + frame.payload.length <= MAX_ENTRY_BYTES && this.#count < MAX_ENTRY_RECORDS
    if (!follows || !fits) this.#finish()
    if (this.#count === 0) this.#firstSequence = frame.firstSequence
    else this.#parts.push(LINE_BREAK)
    this.#parts.push(frame.payload)
    this.#count += frame.count
    this.#openBytes += frame.payload.length
    this.bytes += frame.payload.length
  }

  addHole(firstSequence: number, count: number): void {
    this.#finish()
    this.#entries.push({ kind: 'hole', producer: this.#producer, firstSequence, count, payload: Buffer.alloc(0) })
  }

  take(): StreamEntry[] {
    this.#finish()
    return this.#entries
  }

  #finish(): void {
    if (this.#count === 0) return
    const payload = Buffer.concat(this.#parts)
    const { firstSequence, count } = { firstSequence: this.#firstSequence, count: this.#count }
    this.#entries.push({ kind: 'records', producer: this.#producer, firstSequence, count, payload })
    this.#parts = []
    this.#count = 0
    this.#openBytes = 0
  }
}

const LINE_BREAK = Buffer.from('\n')

async function changedAtMs(path: string): Promise<number | undefined> {
  return stat(path).then(
    (info) => info.ctimeMs,
    () => undefined,
  )
}
