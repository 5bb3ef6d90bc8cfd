import { Problem } from '../runtime/problem.ts'

/** A stretch of time, half-open: `startMs` belongs to it, `endMs` does not. */
export type Period = { startMs: number; endMs: number }

/** A UTC calendar month. */
export type Month = Period & { text: string }

const MAX_DAYS = 366
const DAY_MS = 86_400_000

/**
 * Reads whole UTC days `YYYY-MM-DD`; `to` is the first day that is not in the period.
 * @throws Problem 400 `invalid_period`.
 */
export function parsePeriod(from: string, to: string): Period {
  const startMs = parseDay(from)
  const endMs = parseDay(to)
  if (startMs === undefined || endMs === undefined)
    throw new Problem(400, 'invalid_period', { detail: 'from and to are days: YYYY-MM-DD.' })
  if (endMs <= startMs || endMs - startMs > MAX_DAYS * DAY_MS)
    throw new Problem(400, 'invalid_period', {
      detail: `A period has from 1 to ${MAX_DAYS} days; to is not one of them.`,
    })
  return { startMs, endMs }
}

function parseDay(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined
  const ms = Date.parse(`${text}T00:00:00Z`)
  return Number.isNaN(ms) || dayText(ms) !== text ? undefined : ms
}

/** The UTC day of `ms`, as `YYYY-MM-DD`. */
export function dayText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

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
