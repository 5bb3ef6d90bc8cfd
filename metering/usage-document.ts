import { Problem } from '../runtime/problem.ts'
import { GAUGE_METERS, type GaugeMeter, HOUR_MS } from './gauge.ts'
import { isOurFault } from './meters.ts'
import type { Month } from './month.ts'
import type { UsageStore } from './usage-store.ts'

/** Endpoints shown in a usage document; the many beyond them are in the totals all the same. */
const MAX_ENDPOINTS = 1_000

/** The usage document of contract 6, without `quotas` (control adds them). Months that have not begun are all zeros. */
export async function buildUsageDocument(store: UsageStore, tenantId: string, month: Month, nowMs: number) {
  const [totals, byEndpoint, documents, files, connections] = await Promise.all([
    store.readTotals(tenantId, month),
    store.readByEndpoint(tenantId, month),
    store.readGauge(tenantId, 'documents_bytes', month, nowMs),
    store.readGauge(tenantId, 'files_bytes', month, nowMs),
    store.readGauge(tenantId, 'realtime_connections', month, nowMs),
  ])
  const elapsedMs = Math.max(0, Math.min(month.endMs, nowMs) - month.startMs)
  // Total and statuses are sums of what stands beside them, also while records come in between two reads.
  const byStatus: Record<string, number> = {}
  for (const { status, count } of byEndpoint) byStatus[status] = (byStatus[status] ?? 0) + count
  const total = byEndpoint.reduce((sum, row) => sum + row.count, 0)
  return {
    tenant_id: tenantId,
    month: month.text,
    period: { start: new Date(month.startMs).toISOString(), end: new Date(month.endMs).toISOString() },
    resources: {
      api_requests: {
        total,
        /** Without those that failed through a fault of ours (502, 503, 504). */
        billable: byEndpoint.reduce((sum, { status, count }) => sum + (isOurFault(status) ? 0 : count), 0),
        by_status: byStatus,
        by_endpoint: byEndpoint.slice(0, MAX_ENDPOINTS),
      },
      storage: {
        documents_bytes: documents.last,
        files_bytes: files.last,
        byte_hours: Number((documents.valueMs + files.valueMs) / BigInt(HOUR_MS)),
      },
      egress: { bytes: totals.egressBytes },
      ingress: { bytes: totals.ingressBytes },
      realtime: {
        peak_connections: connections.peak,
        average_connections: elapsedMs === 0 ? 0 : roundTo3(Number(connections.valueMs) / elapsedMs),
        messages: totals.messages,
      },
      /** For how long servers of the tenant's own ran; paused time is not in it. */
      compute: { seconds: totals.computeMs / 1_000 },
    },
    as_of: new Date(nowMs).toISOString(),
  }
}

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

/**
 * One resource over a month by hour or day, from its start to now or its end; steps without usage are 0. Sums for what is
 * counted; for what is held the peak, carried on from step to step.
 * @throws Problem 400 `invalid_resource`.
 */
export async function buildSeries(
  store: UsageStore,
  tenantId: string,
  month: Month,
  resource: string,
  step: 'hour' | 'day',
  nowMs: number,
) {
  const gauge = GAUGES[resource]
  const column = isTotal(resource) ? TOTALS[resource] : undefined
  if (gauge === undefined && column === undefined)
    throw new Problem(400, 'invalid_resource', { detail: `resource must be one of ${SERIES_RESOURCES.join(', ')}.` })
  const points =
    column !== undefined
      ? await store.readTotalsSeries(tenantId, column, step, month)
      : gauge !== undefined
        ? await store.readGaugeSeries(tenantId, gauge, step, month)
        : []
  const scale = column === 'compute_ms' ? 1_000 : 1
  const values = new Map(points.map((point) => [point.atMs, point.value / scale]))
  const stepMs = step === 'hour' ? HOUR_MS : 24 * HOUR_MS
  const data: { at: string; value: number }[] = []
  let carried = 0
  for (let atMs = month.startMs; atMs < Math.min(month.endMs, nowMs); atMs += stepMs) {
    const value = values.get(atMs) ?? (gauge === undefined ? 0 : carried)
    carried = value
    data.push({ at: new Date(atMs).toISOString(), value })
  }
  return { tenant_id: tenantId, month: month.text, resource, step, data, as_of: new Date(nowMs).toISOString() }
}

function isTotal(resource: string): resource is keyof typeof TOTALS {
  return Object.hasOwn(TOTALS, resource)
}

function roundTo3(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
