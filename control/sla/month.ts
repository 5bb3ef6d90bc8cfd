import type { Span } from './spans.ts'

/** A UTC calendar month (`YYYY-MM`) in seconds since the epoch. */
export type SlaMonth = Span & { readonly text: string }

/** The month of a text that was checked to be `YYYY-MM`. */
export function readMonth(text: string): SlaMonth {
  const [year = 0, month = 0] = text.split('-').map(Number)
  return { text, from: Date.UTC(year, month - 1) / 1_000, until: Date.UTC(year, month) / 1_000 }
}

/** The month that a moment lies in. */
export function monthAt(ms: number): SlaMonth {
  return readMonth(new Date(ms).toISOString().slice(0, 7))
}

/** The month before. */
export function monthBefore(month: SlaMonth): SlaMonth {
  return monthAt(month.from * 1_000 - 1)
}
