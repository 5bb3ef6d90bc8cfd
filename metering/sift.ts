import type { UsageRecord } from './contract.ts'
import { decodeRecords, type Unreadable } from './record-codec.ts'
import type { StreamEntry } from './stream.ts'

/** A stretch of one producer's sequence that the ledger has not counted yet, in order and without a gap. */
export type Accepted = {
  producer: string
  firstSequence: number
  lastSequence: number
} & (
  | { kind: 'records'; records: readonly (UsageRecord | Unreadable)[] }
  | { kind: 'hole' }
  | { kind: 'end'; lastSeenMs: number }
)

export type Sifted = {
  accepted: Accepted[]
  /** The new mark of every producer that was seen, changed or not. */
  marks: Map<string, number>
  /** Sequence numbers that were counted before. */
  duplicates: number
  /** Entries behind a gap: they are not counted, and come again after the mark. */
  refused: { producer: string; expected: number; firstSequence: number }[]
}

/**
 * Decides what of `entries` counts, by the marks alone: what is at or below a producer's mark was counted (once, for ever),
 * what follows it directly is new, what lies behind a gap is refused. Pure; whatever order, repetition or loss the entries
 * suffered, each sequence number is accepted exactly once over all calls that carry the marks on.
 */
export function siftEntries(knownMarks: ReadonlyMap<string, number>, entries: readonly StreamEntry[]): Sifted {
  const marks = new Map<string, number>()
  const accepted: Accepted[] = []
  const refused: Sifted['refused'] = []
  let duplicates = 0
  for (const entry of entries) {
    const { producer, firstSequence, count } = entry
    const mark = marks.get(producer) ?? knownMarks.get(producer) ?? 0
    marks.set(producer, mark)
    const lastSequence = firstSequence + count - 1
    if (firstSequence > mark + 1) {
      refused.push({ producer, expected: mark + 1, firstSequence })
      continue
    }
    const counted = Math.min(mark, lastSequence) - firstSequence + 1
    duplicates += Math.max(0, counted)
    if (lastSequence <= mark) continue
    const stretch = { producer, firstSequence: mark + 1, lastSequence }
    if (entry.kind === 'records') {
      accepted.push({ kind: 'records', ...stretch, records: readPayload(entry).slice(counted) })
    } else if (entry.kind === 'hole') {
      accepted.push({ kind: 'hole', ...stretch })
    } else {
      accepted.push({ kind: 'end', ...stretch, lastSeenMs: Number(entry.payload.toString()) || 0 })
    }
    marks.set(producer, lastSequence)
  }
  return { accepted, marks, duplicates, refused }
}

/** Always `entry.count` of them: an entry whose payload says something else holds nothing that could be billed. */
function readPayload(entry: StreamEntry): readonly (UsageRecord | Unreadable)[] {
  const lines = entry.payload.toString().split('\n')
  if (lines.length === entry.count) return decodeRecords(lines)
  return Array.from({ length: entry.count }, (_, i) => ({ kind: 'unreadable', text: lines[i] ?? '' }))
}
