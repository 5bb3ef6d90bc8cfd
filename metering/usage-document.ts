import { HOUR_MS } from './gauge.ts'
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

function roundTo3(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
