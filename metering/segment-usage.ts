import type { PoolClient } from 'pg'
import { HOUR_MS, hourOf } from './gauge.ts'
import type { Quantities } from './meters.ts'
import type { Month } from './month.ts'
import type { RatedSegment } from './rating.ts'

/** The stretches of one tenant's month whose usage is asked for. */
export type UsageRequest = { tenantId: string; month: Month; segments: readonly Omit<RatedSegment, 'usage'>[] }

/**
 * The usage of every stretch that is billed (so without requests that failed through a fault of ours), in fine units, of many
 * tenants at once. An hour's usage belongs to the stretch in which the hour
 * begins, or, where none is on then, to the first that begins in it. What is held without a later sample counts up to `nowMs`.
 */
export async function readSegmentUsage(
  db: Pick<PoolClient, 'query'>,
  requests: readonly UsageRequest[],
  nowMs: number,
): Promise<Quantities[][]> {
  const spans = requests.flatMap((request, i) => hourSpans(request).map((span) => ({ request: i, ...span })))
  const result: Quantities[][] = requests.map(({ segments }) => segments.map(() => ({})))
  if (spans.length === 0) return result
  const { rows } = await db.query<Record<string, string | number>>(
    `with spans as materialized (
       select request, segment, tenant_id, to_timestamp(from_ms / 1000.0) as starts, to_timestamp(until_ms / 1000.0) as ends
       from json_to_recordset($1) as r(request int, segment int, tenant_id text, from_ms bigint, until_ms bigint))
     select s.request, s.segment, t.*,
       coalesce(g.documents, 0) + coalesce(o.documents, 0) as documents,
       coalesce(g.files, 0) + coalesce(o.files, 0) as files,
       coalesce(g.connections, 0) + coalesce(o.connections, 0) as connections
     from spans s
     cross join lateral (
       select coalesce(sum(requests - faults), 0) as requests, coalesce(sum(compute_ms), 0) as compute, coalesce(sum(egress_bytes), 0) as egress,
         coalesce(sum(ingress_bytes), 0) as ingress, coalesce(sum(messages), 0) as messages
       from metering.usage_hourly u where u.tenant_id = s.tenant_id and u.hour >= s.starts and u.hour < s.ends) t
     cross join lateral (
       select trunc(sum(value_ms) filter (where meter = 'documents_bytes')) as documents,
         trunc(sum(value_ms) filter (where meter = 'files_bytes')) as files,
         trunc(sum(value_ms) filter (where meter = 'realtime_connections')) as connections
       from metering.gauge_hourly h where h.tenant_id = s.tenant_id and h.hour >= s.starts and h.hour < s.ends) g
     cross join lateral (
       select trunc(sum(held) filter (where meter = 'documents_bytes')) as documents,
         trunc(sum(held) filter (where meter = 'files_bytes')) as files,
         trunc(sum(held) filter (where meter = 'realtime_connections')) as connections
       from (select meter, value * greatest(0, extract(epoch from
               least(s.ends, to_timestamp($2 / 1000.0)) - greatest(since, s.starts)) * 1000) as held
             from metering.gauges a where a.tenant_id = s.tenant_id) open) o`,
    [JSON.stringify(spans), nowMs],
  )
  for (const row of rows) {
    const quantities = result[Number(row.request)]?.[Number(row.segment)]
    if (quantities === undefined) continue
    Object.assign(quantities, {
      api_requests: BigInt(row.requests ?? 0),
      egress_bytes: BigInt(row.egress ?? 0),
      ingress_bytes: BigInt(row.ingress ?? 0),
      realtime_messages: BigInt(row.messages ?? 0),
      storage_byte_hours: BigInt(row.documents ?? 0),
      file_storage_byte_hours: BigInt(row.files ?? 0),
      realtime_connection_hours: BigInt(row.connections ?? 0),
      compute_seconds: BigInt(row.compute ?? 0),
    } satisfies Quantities)
  }
  return result
}

/** The whole hours of each stretch: they never overlap, and none in which the tenant was on a plan is left out. */
function hourSpans({ tenantId, month, segments }: UsageRequest) {
  let takenUntilMs = 0
  return segments.map(({ fromSecond, untilSecond }, segment) => {
    const from_ms = Math.max(hourOf(month.startMs + fromSecond * 1_000), takenUntilMs)
    const until_ms = Math.max(ceilHour(month.startMs + untilSecond * 1_000), from_ms)
    takenUntilMs = until_ms
    return { segment, tenant_id: tenantId, from_ms, until_ms }
  })
}

function ceilHour(ms: number): number {
  return Math.ceil(ms / HOUR_MS) * HOUR_MS
}
