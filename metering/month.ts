import { Problem } from '../runtime/problem.ts'

/** A UTC calendar month, half-open: `startMs` belongs to it, `endMs` to the next. */
export type Month = { text: string; startMs: number; endMs: number }

/** Reads `YYYY-MM`. @throws Problem 400 `invalid_month`. */
export function parseMonth(text: string): Month {
  const match = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(text)
  if (match === null) throw new Problem(400, 'invalid_month', { detail: 'A month is written YYYY-MM.' })
  const [year, month] = [Number(match[1]), Number(match[2])]
  return { text, startMs: Date.UTC(year, month - 1), endMs: Date.UTC(year, month) }
}

/** The month that `ms` lies in. */
export function monthOf(ms: number): Month {
  return parseMonth(new Date(ms).toISOString().slice(0, 7))
}

/** The month before. */
export function previousMonth(month: Month): Month {
  return monthOf(month.startMs - 1)
}
