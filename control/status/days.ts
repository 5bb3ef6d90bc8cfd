import type { SlaFacts } from '../sla/sla-report.ts'
import { countSeconds, intersectSpans, joinSpans, type Span, subtractSpans } from '../sla/spans.ts'

const DAY_SECONDS = 86_400
/** How many days a status page shows, today's included. */
export const SHOWN_DAYS = 90

/** A UTC day on a status page; `uptime` is `null` while nothing was measured on it. */
export type StatusDay = { date: string; uptime: number | null; downtime_seconds: number }

/** The days that a page shows at `nowSecond`, oldest first. */
export function shownDays(nowSecond: number): Span[] {
  const today = Math.floor(nowSecond / DAY_SECONDS) * DAY_SECONDS
  return Array.from({ length: SHOWN_DAYS }, (_, i) => {
    const from = today - (SHOWN_DAYS - 1 - i) * DAY_SECONDS
    return { from, until: from + DAY_SECONDS }
  })
}

/** A tenant's days by the rules of the SLA report: maintenance and time in which nobody looked count neither way. */
export function buildDays(facts: SlaFacts, nowSecond: number): StatusDay[] {
  const incidents = joinSpans(facts.incidents.map(({ span }) => span))
  const without = joinSpans([...facts.unobserved, ...facts.maintenance])
  const measured = subtractSpans(joinSpans(facts.serving), without)
  return shownDays(nowSecond).map((day) => {
    const seen = intersectSpans(measured, [{ from: day.from, until: Math.min(day.until, nowSecond) }])
    return makeDay(day, countSeconds(seen), countSeconds(intersectSpans(seen, incidents)))
  })
}

export function makeDay(day: Span, measuredSeconds: number, downSeconds: number): StatusDay {
  return {
    date: new Date(day.from * 1_000).toISOString().slice(0, 10),
    uptime: measuredSeconds <= 0 ? null : cut(Math.max(0, 1 - downSeconds / measuredSeconds)),
    downtime_seconds: Math.round(downSeconds),
  }
}

/** After six digits, never rounded up. */
function cut(share: number): number {
  return Math.floor(share * 1e6) / 1e6
}
