import type { PostgresPool } from '../runtime/postgres-pool.ts'
import type { GaugeMeter } from './gauge.ts'
import { dayText, type Month, type Period } from './month.ts'

export type EndpointUsage = { method: string; endpoint: string; status: number; count: number }
export type Totals = {
  requests: number
  /** Of the requests, those that failed through a fault of ours. */
  faults: number
  egressBytes: number
  ingressBytes: number
  messages: number
  computeMs: number
}
/** `valueMs`: the integral over the month so far (value × milliseconds). */
export type GaugeUsage = { last: number; peak: number; valueMs: bigint }

/** Reads usage from the rollups; each statement is one function. */
export class UsageStore {
  readonly #pool: PostgresPool

  constructor(pool: PostgresPool) {
    this.#pool = pool
  }

  /** The totals of a tenant's month, from the days. */
  async readTotals(tenantId: string, month: Month): Promise<Totals> {
    const { rows } = await this.#pool.query<Record<string, string | null>>(
      `select sum(requests)::text as requests, sum(egress_bytes)::text as egress, sum(ingress_bytes)::text as ingress,
         sum(messages)::text as messages, sum(faults)::text as faults, sum(compute_ms)::text as compute
       from metering.daily_totals where tenant_id = $1 and day >= $2::date and day < $3::date`,
      [tenantId, dayText(month.startMs), dayText(month.endMs)],
    )
    const row = rows[0] ?? {}
    return {
      requests: Number(row.requests ?? 0),
      faults: Number(row.faults ?? 0),
      egressBytes: Number(row.egress ?? 0),
      ingressBytes: Number(row.ingress ?? 0),
      messages: Number(row.messages ?? 0),
      computeMs: Number(row.compute ?? 0),
    }
  }

  /** Requests of the month by method, endpoint and status; the busiest first. */
  async readByEndpoint(tenantId: string, month: Month): Promise<EndpointUsage[]> {
    const { rows } = await this.#pool.query<{ method: string; endpoint: string; status: number; count: string }>(
      `select method, endpoint, status, sum(requests)::text as count from metering.usage_daily
       where tenant_id = $1 and day >= $2::date and day < $3::date
       group by method, endpoint, status order by sum(requests) desc, endpoint, method, status`,
      [tenantId, dayText(month.startMs), dayText(month.endMs)],
    )
    return rows.map((row) => ({ ...row, count: Number(row.count) }))
  }

  /** What was held in the month, up to now or its end: closed spans from the hours, the open one from the gauges. */
  async readGauge(tenantId: string, meter: GaugeMeter, month: Month, nowMs: number): Promise<GaugeUsage> {
    const untilMs = Math.min(month.endMs, nowMs)
    const { rows } = await this.#pool.query<{
      closed_ms: string | null
      peak: string | null
      last: string | null
      open_ms: string | null
      open_value: string | null
    }>(
      `select
         (select trunc(sum(value_ms))::text from metering.gauge_daily
           where tenant_id = $1 and meter = $2 and day >= $5::date and day < $6::date) as closed_ms,
         (select max(peak)::text from metering.gauge_daily
           where tenant_id = $1 and meter = $2 and day >= $5::date and day < $6::date) as peak,
         (select last_value::text from metering.gauge_daily
           where tenant_id = $1 and meter = $2 and day < $6::date order by day desc limit 1) as last,
         (select trunc(sum(value * greatest(0, extract(epoch from $4::timestamptz - greatest(since, $3))) * 1000))::text
           from metering.gauges where tenant_id = $1 and meter = $2) as open_ms,
         (select sum(value)::text from metering.gauges
           where tenant_id = $1 and meter = $2 and since < $4) as open_value`,
      [tenantId, meter, new Date(month.startMs), new Date(untilMs), dayText(month.startMs), dayText(month.endMs)],
    )
    const row = rows[0]
    const begun = nowMs >= month.startMs
    const open = begun ? Number(row?.open_value ?? 0) : 0
    return {
      last: begun ? Number(row?.last ?? 0) : 0,
      peak: Math.max(Number(row?.peak ?? 0), open),
      valueMs: begun ? BigInt(row?.closed_ms ?? 0) + BigInt(row?.open_ms ?? 0) : 0n,
    }
  }

  /** A series of what is counted: sums of requests, bytes, messages and running time by hour or day. */
  async readTotalsSeries(
    tenantId: string,
    column: 'requests' | 'egress_bytes' | 'ingress_bytes' | 'messages' | 'compute_ms',
    step: 'hour' | 'day',
    period: Period,
  ): Promise<SeriesPoint[]> {
    const { rows } = await this.#pool.query<{ at: Date; value: string }>(
      step === 'hour'
        ? `select hour as at, ${column}::text as value from metering.usage_hourly
           where tenant_id = $1 and hour >= $2 and hour < $3`
        : `select day::timestamp at time zone 'UTC' as at, ${column}::text as value from metering.daily_totals
           where tenant_id = $1 and day >= ($2::timestamptz at time zone 'UTC')::date
             and day < ($3::timestamptz at time zone 'UTC')::date`,
      [tenantId, new Date(period.startMs), new Date(period.endMs)],
    )
    return rows.map((row) => ({ atMs: row.at.getTime(), value: Number(row.value) }))
  }

  /** Requests by day and class of status, such as `2xx`. */
  async readStatusSeries(tenantId: string, period: Period): Promise<{ atMs: number; status: string; value: number }[]> {
    const { rows } = await this.#pool.query<{ at: Date; class: number; value: string }>(
      `select day::timestamp at time zone 'UTC' as at, status / 100 as class, sum(requests)::text as value
       from metering.usage_daily where tenant_id = $1 and day >= $2::date and day < $3::date group by 1, 2`,
      [tenantId, dayText(period.startMs), dayText(period.endMs)],
    )
    return rows.map((row) => ({ atMs: row.at.getTime(), status: `${row.class}xx`, value: Number(row.value) }))
  }

  /**
   * A series of what was held: the peak and the average of each hour or day in which it changed or was held by a closed span,
   * and the value that was left at its end.
   */
  async readGaugeSeries(
    tenantId: string,
    meter: GaugeMeter,
    step: 'hour' | 'day',
    period: Period,
  ): Promise<(SeriesPoint & { average: number; last: number })[]> {
    const { rows } = await this.#pool.query<{ at: Date; value: string; average: number; last: string }>(
      step === 'hour'
        ? `select hour as at, peak::text as value, (value_ms / 3600000)::float8 as average, last_value::text as last
           from metering.gauge_hourly where tenant_id = $1 and meter = $2 and hour >= $3 and hour < $4`
        : `select day::timestamp at time zone 'UTC' as at, peak::text as value, (value_ms / 86400000)::float8 as average,
             last_value::text as last
           from metering.gauge_daily
           where tenant_id = $1 and meter = $2 and day >= ($3::timestamptz at time zone 'UTC')::date
             and day < ($4::timestamptz at time zone 'UTC')::date`,
      [tenantId, meter, new Date(period.startMs), new Date(period.endMs)],
    )
    return rows.map(({ at, value, average, last }) => ({
      atMs: at.getTime(),
      value: Number(value),
      average,
      last: Number(last),
    }))
  }

  /** What was left of a gauge at the end of the last day before `beforeMs`. */
  async readGaugeBefore(tenantId: string, meter: GaugeMeter, beforeMs: number): Promise<number> {
    const { rows } = await this.#pool.query<{ last: string }>(
      `select last_value::text as last from metering.gauge_daily
       where tenant_id = $1 and meter = $2 and day < $3::date order by day desc limit 1`,
      [tenantId, meter, dayText(beforeMs)],
    )
    return Number(rows[0]?.last ?? 0)
  }

  /** What bounds by quota hold of each tenant's month, by tenant id: its requests, and the most connections at once. */
  async readQuotaUse(month: Month, after: string, limit: number): Promise<QuotaUse[]> {
    const { rows } = await this.#pool.query<{ tenant_id: string; requests: string; peak: string }>(
      `select tenant_id, sum(requests)::text as requests, max(peak)::text as peak from (
         select tenant_id, requests, 0 as peak from metering.daily_totals
         where tenant_id > $1 and day >= $2::date and day < $3::date
         union all
         select tenant_id, 0, peak from metering.gauge_daily
         where tenant_id > $1 and day >= $2::date and day < $3::date and meter = 'realtime_connections') used
       group by tenant_id order by tenant_id limit $4`,
      [after, dayText(month.startMs), dayText(month.endMs), limit],
    )
    return rows.map((row) => ({
      tenantId: row.tenant_id,
      requests: Number(row.requests),
      peakConnections: Number(row.peak),
    }))
  }

  /** What each tenant stores now, by tenant id. */
  async readStorage(after: string, limit: number): Promise<TenantStorage[]> {
    const { rows } = await this.#pool.query<{ tenant_id: string; documents: string; files: string; at: Date }>(
      `select tenant_id, coalesce(sum(value) filter (where meter = 'documents_bytes'), 0)::text as documents,
         coalesce(sum(value) filter (where meter = 'files_bytes'), 0)::text as files, max(since) as at
       from metering.gauges where tenant_id > $1 and meter in ('documents_bytes', 'files_bytes')
       group by tenant_id order by tenant_id limit $2`,
      [after, limit],
    )
    return rows.map((row) => ({
      tenantId: row.tenant_id,
      documentsBytes: Number(row.documents),
      filesBytes: Number(row.files),
      sampledAt: row.at,
    }))
  }
}

export type SeriesPoint = { atMs: number; value: number }
export type QuotaUse = { tenantId: string; requests: number; peakConnections: number }
export type TenantStorage = { tenantId: string; documentsBytes: number; filesBytes: number; sampledAt: Date }
