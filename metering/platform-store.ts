import type { PostgresPool } from '../runtime/postgres-pool.ts'
import { isOurFault } from './meters.ts'
import { dayText, type Period } from './month.ts'

/** A day of all tenants together. */
export type PlatformDay = {
  at: string
  requests: number
  /** By class of status, such as `2xx`. */
  by_status: Record<string, number>
  /** Failed through a fault of ours (502, 503, 504). */
  faults: number
  egress_bytes: number
  ingress_bytes: number
  /** Milliseconds from a request's head to the end of its response, on average. */
  average_ms: number | null
}

/** Days of the platform in `period`, up to now; days without a request are zeros. */
export async function readPlatformDays(pool: PostgresPool, period: Period, nowMs: number): Promise<PlatformDay[]> {
  const { rows } = await pool.query<Record<string, string> & { status: number }>(
    `select to_char(day, 'YYYY-MM-DD') as day, status, sum(requests)::text as requests, sum(egress_bytes)::text as egress,
       sum(ingress_bytes)::text as ingress, sum(duration_us)::text as duration
     from metering.platform_daily where day >= $1::date and day < $2::date group by day, status order by day, status`,
    [dayText(period.startMs), dayText(period.endMs)],
  )
  const byDay = Map.groupBy(rows, (row) => row.day)
  const days: PlatformDay[] = []
  for (let atMs = period.startMs; atMs < Math.min(period.endMs, nowMs); atMs += DAY_MS) {
    const day = { requests: 0, faults: 0, egress_bytes: 0, ingress_bytes: 0 }
    const by_status: Record<string, number> = {}
    let durationUs = 0
    for (const row of byDay.get(dayText(atMs)) ?? []) {
      const requests = Number(row.requests)
      const name = `${Math.floor(row.status / 100)}xx`
      by_status[name] = (by_status[name] ?? 0) + requests
      day.requests += requests
      if (isOurFault(row.status)) day.faults += requests
      day.egress_bytes += Number(row.egress)
      day.ingress_bytes += Number(row.ingress)
      durationUs += Number(row.duration)
    }
    const average_ms = day.requests === 0 ? null : Math.round(durationUs / day.requests) / 1_000
    days.push({ at: new Date(atMs).toISOString(), ...day, by_status, average_ms })
  }
  return days
}

const DAY_MS = 86_400_000
