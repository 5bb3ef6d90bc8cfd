import { InvalidArgumentError } from '@commander-js/extra-typings'
import { CliFault, EXIT } from './fault.ts'

const DAY_MS = 86_400_000

/** A moment as RFC 3339 has it: with its zone, so that nobody's clock is meant by accident. */
export function readMoment(text: string): string {
  if (
    !/^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/.test(text) ||
    Number.isNaN(Date.parse(text))
  )
    throw new InvalidArgumentError('It must be a moment such as 2026-12-24T18:00Z or 2026-12-24T18:00+01:00.')
  return new Date(text).toISOString()
}

/** A day `YYYY-MM-DD` (UTC). */
export function readDay(text: string): string {
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || Number.isNaN(Date.parse(text)))
    throw new InvalidArgumentError('It must be a day: YYYY-MM-DD.')
  return text
}

/** Days as the API wants them: `to` is the first that is not among them. The last `days` to now unless given. */
export function makeDays(
  asked: { from?: string | undefined; to?: string | undefined },
  days: number,
  nowMs: number = Date.now(),
): { from: string; to: string } {
  const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10)
  const to = asked.to ?? dayOf(nowMs + DAY_MS)
  return { from: asked.from ?? dayOf(Date.parse(to) - days * DAY_MS), to }
}

/**
 * A span of time from its start (now unless given) to its end, which is a moment or so many seconds after the start.
 * @throws CliFault when neither is given.
 */
export function makeSpan(
  asked: { starts?: string | undefined; until?: string | undefined; for?: number | undefined },
  nowMs: number = Date.now(),
): { starts_at?: string; ends_at: string } {
  const start = asked.starts === undefined ? {} : { starts_at: asked.starts }
  if (asked.until !== undefined) return { ...start, ends_at: asked.until }
  if (asked.for === undefined) throw new CliFault(EXIT.usage, 'no_end', 'It must end: give --for or --until.')
  const startMs = asked.starts === undefined ? nowMs : Date.parse(asked.starts)
  return { ...start, ends_at: new Date(startMs + asked.for * 1_000).toISOString() }
}
