import { createHash } from 'node:crypto'

/**
 * What travels from a spool to the ledger. `records` carries lines of the spool; `hole` says that a damaged disk lost so many
 * records; `end` (one sequence number) says that the producer is gone, so what it held (connections) is held no longer.
 */
export type StreamEntry = {
  kind: 'records' | 'hole' | 'end'
  producer: string
  firstSequence: number
  /** How many sequence numbers it takes. */
  count: number
  /** `records`: the lines. `end`: when the producer was last seen, in milliseconds since the epoch, as decimal text. */
  payload: Buffer
}

/** An entry as it lies in the stream. `entry` is `undefined` when what lies there was not written by a shipper. */
export type ReceivedEntry = { id: string; entry: StreamEntry | undefined }

/**
 * The way from spools to the ledger: partitions in order, a bounded number of entries in each. It may lose everything, repeat
 * and delay at any time: what is counted is decided by the ledger's marks alone, and spools keep what has not been counted.
 */
export type UsageStream = {
  readonly partitions: number
  /**
   * Adds entries in order until the partition is full. Resolves with the ids of those that were added (a prefix).
   * A rejection says nothing about what was added.
   */
  append(partition: number, entries: readonly StreamEntry[]): Promise<string[]>
  /** The oldest entries of a partition that were not acknowledged. */
  read(partition: number, maxEntries: number): Promise<ReceivedEntry[]>
  /** Takes all entries up to this one out of the partition. */
  acknowledge(partition: number, throughId: string): Promise<void>
  /** Whether an entry is still there: neither acknowledged nor lost. */
  holds(partition: number, id: string): Promise<boolean>
  /** How many entries wait. */
  length(partition: number): Promise<number>
  /** Tells shippers up to which sequence the ledger has counted each producer. */
  publishMarks(marks: ReadonlyMap<string, number>): Promise<void>
  /** The marks last published; a producer that is not in it has none, or the stream lost it. */
  readMarks(producers: readonly string[]): Promise<Map<string, number>>
  /** Drops the mark of a producer that is done. */
  forgetMark(producer: string): Promise<void>
}

/** How many partitions every shipper and sink works with. More than the sinks that could share the work is of no use. */
export const USAGE_PARTITIONS = 4

/** The partition in which all entries of a producer travel, in order. */
export function partitionOf(producer: string, partitions: number): number {
  return createHash('sha256').update(producer).digest().readUInt32LE(0) % partitions
}
