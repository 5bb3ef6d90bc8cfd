import { Problem } from '../runtime/problem.ts'
import { GAUGE_METERS, type GaugeMeter, HOUR_MS } from './gauge.ts'
import type { Period } from './month.ts'
import type { UsageStore } from './usage-store.ts'

const TOTALS = {
  api_requests: 'requests',
  egress: 'egress_bytes',
  ingress: 'ingress_bytes',
  realtime_messages: 'messages',
  compute_seconds: 'compute_ms',
} as const
const GAUGES: Readonly<Record<string, GaugeMeter>> = {
  documents_bytes: 'documents_bytes',
  files_bytes: 'files_bytes',
  realtime_connections: 'realtime_connections',
}

/** What a series can be asked for. */
export const SERIES_RESOURCES = [...Object.keys(TOTALS), ...GAUGE_METERS]
export const SERIES_STEPS = ['hour', 'day'] as const
export type SeriesStep = (typeof SERIES_STEPS)[number]

/** A step of a series: the sum of what was counted in it, or the peak and the average of what was held. */
export type UsagePoint = { at: string; value: number; average?: number; by_status?: Record<string, number> }

/** Hours are for a month at most: a year of them is more than anybody reads. */
const MAX_HOURS = 31 * 24
const DAY_MS = 24 * HOUR_MS

/**
 * One resource over a period by hour or day, from its start to now or its end; steps without usage are 0. What is held is
 * carried on from step to step.
 * @param byStatus requests also by class of status (days only).
 * @throws Problem 400 `invalid_resource`, `invalid_step`.
 */
export async function buildSeries(
  store: UsageStore,
  tenantId: string,
  period: Period,
  resource: string,
  step: SeriesStep,
  nowMs: number,
  byStatus = false,
): Promise<UsagePoint[]> {
  const stepMs = step === 'hour' ? HOUR_MS : DAY_MS
  if (step === 'hour' && period.endMs - period.startMs > MAX_HOURS * HOUR_MS)
    throw new Problem(400, 'invalid_step', { detail: 'Hours are shown of 31 days at most.' })
  if (byStatus && (resource !== 'api_requests' || step !== 'day'))
    throw new Problem(400, 'invalid_step', { detail: 'Statuses are known of api_requests by day.' })
  const untilMs = Math.min(period.endMs, nowMs)
  const gauge = GAUGES[resource]
  if (gauge !== undefined) return gaugeSeries(store, tenantId, gauge, step, period, untilMs)
  if (!isTotal(resource))
    throw new Problem(400, 'invalid_resource', { detail: `resource must be one of ${SERIES_RESOURCES.join(', ')}.` })
  const column = TOTALS[resource]
  const [points, statuses] = await Promise.all([
    store.readTotalsSeries(tenantId, column, step, period),
    byStatus ? store.readStatusSeries(tenantId, period) : [],
  ])
  const scale = column === 'compute_ms' ? 1_000 : 1
  const values = new Map(points.map((point) => [point.atMs, point.value / scale]))
  const byDay = Map.groupBy(statuses, (one) => one.atMs)
  return stepsOf(period.startMs, untilMs, stepMs).map((atMs) => ({
    at: new Date(atMs).toISOString(),
    value: values.get(atMs) ?? 0,
    ...(byStatus
      ? { by_status: Object.fromEntries((byDay.get(atMs) ?? []).map(({ status, value }) => [status, value])) }
      : {}),
  }))
}

async function gaugeSeries(
  store: UsageStore,
  tenantId: string,
  gauge: GaugeMeter,
  step: SeriesStep,
  period: Period,
  untilMs: number,
): Promise<UsagePoint[]> {
  const stepMs = step === 'hour' ? HOUR_MS : DAY_MS
  const [points, before] = await Promise.all([
    store.readGaugeSeries(tenantId, gauge, step, period),
    store.readGaugeBefore(tenantId, gauge, period.startMs),
  ])
  const values = new Map(points.map((point) => [point.atMs, point]))
  let carried = before
  return stepsOf(period.startMs, untilMs, stepMs).map((atMs) => {
    const point = values.get(atMs) ?? { value: carried, average: carried, last: carried }
    carried = point.last
    const step = { at: new Date(atMs).toISOString(), value: point.value }
    // The step of now has no average yet.
    return atMs + stepMs > untilMs ? step : { ...step, average: Math.round(point.average * 1_000) / 1_000 }
  })
}

function stepsOf(startMs: number, untilMs: number, stepMs: number): number[] {
  return Array.from({ length: Math.max(0, Math.ceil((untilMs - startMs) / stepMs)) }, (_, i) => startMs + i * stepMs)
}

function isTotal(resource: string): resource is keyof typeof TOTALS {
  return Object.hasOwn(TOTALS, resource)
}
