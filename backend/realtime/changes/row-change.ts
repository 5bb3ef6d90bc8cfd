import type { PgTuple } from './pgoutput.ts'

/** A table as the stream described it when the change was made. */
export type ChangedTable = { schema: string; name: string; columns: readonly { name: string; type: string }[] }

/** One changed row, in Postgres's text form. */
export type RowChange = {
  table: ChangedTable
  type: 'INSERT' | 'UPDATE' | 'DELETE'
  /** The row as it is now; `null` after a delete. */
  row: PgTuple | null
  /** What the stream tells of the row before: all of it, its key alone, or nothing. */
  old: PgTuple | null
  oldIsFull: boolean
}

/** Changes of one schema in commit order: a whole transaction or a part of a large one. */
export type ChangeBatch = {
  schema: string
  committedAtMs: number
  /** Names the batch: batches come in the order of these, and one that comes again after a takeover is known by it. */
  position: BatchPosition
  changes: readonly RowChange[]
}

/** The transaction's final LSN in 16 hexadecimal digits, and the number of the batch within it. */
export type BatchPosition = { lsn: string; part: number }

/** True when `position` lies after `seen`. */
export function isAfter(position: BatchPosition, seen: BatchPosition | undefined): boolean {
  if (seen === undefined || position.lsn > seen.lsn) return true
  return position.lsn === seen.lsn && position.part > seen.part
}
