import type { ClientBase } from 'pg'
import { type BatchSums, sumBatch } from './batch-sums.ts'
import { GaugeFold, type GaugeMeter, type GaugeState } from './gauge.ts'
import { type Sifted, siftEntries } from './sift.ts'
import type { StreamEntry } from './stream.ts'

export type RecordedBatch = Pick<Sifted, 'marks' | 'duplicates' | 'refused'> & { requests: number; setAside: number }

/**
 * Counts a batch: ledger rows, rollups, gauges and the producers' marks in one transaction on `client`. When it resolves the
 * batch is counted for ever; when it rejects nothing is, or all is (a commit whose answer was lost): the marks tell next time.
 */
export async function recordBatch(
  client: ClientBase,
  entries: readonly StreamEntry[],
  nowMs: number,
): Promise<RecordedBatch> {
  await client.query('begin')
  try {
    const known = await lockMarks(client, [...new Set(entries.map((entry) => entry.producer))].sort())
    const { accepted, marks, duplicates, refused } = siftEntries(known, entries)
    const sums = sumBatch(accepted, nowMs)
    await recordGauges(client, sums)
    await insertLedger(client, sums)
    await addHourly(client, sums)
    await addDailyTotals(client, sums)
    await addDaily(client, sums)
    await addPlatform(client, sums)
    await advanceMarks(client, marks, sums)
    await client.query('commit')
    return { marks, duplicates, refused, requests: sums.requests, setAside: sums.setAside }
  } catch (fault) {
    await client.query('rollback').catch(() => {})
    throw fault
  }
}

/** The marks, locked until the transaction ends: two sinks that hold the same producer count one after the other. */
async function lockMarks(client: ClientBase, producers: readonly string[]): Promise<Map<string, number>> {
  await client.query(
    `insert into metering.producers (producer) select * from unnest($1::text[]) on conflict (producer) do nothing`,
    [producers],
  )
  const { rows } = await client.query<{ producer: string; mark: string | number }>(
    `select producer, mark from metering.producers where producer = any($1) order by producer for update`,
    [producers],
  )
  return new Map(rows.map((row) => [row.producer, Number(row.mark)]))
}

async function insertLedger(client: ClientBase, sums: BatchSums): Promise<void> {
  if (sums.ledger.length === 0) return
  await client.query(
    `insert into metering.ledger (hour, kind, producer, first_sequence, last_sequence, records, tenant_id, at, method,
       endpoint, status, egress_bytes, ingress_bytes, duration_us, documents_bytes, files_bytes, connections, messages, compute_ms, detail)
     select to_timestamp(hour_ms / 1000.0), kind, producer, first_sequence, last_sequence, records, tenant_id,
       to_timestamp(at_ms / 1000.0), method, endpoint, status, coalesce(egress_bytes, 0), coalesce(ingress_bytes, 0),
       coalesce(duration_us, 0), documents_bytes, files_bytes, connections, messages, compute_ms, detail
     from json_to_recordset($1) as r(hour_ms bigint, kind text, producer text, first_sequence bigint, last_sequence bigint,
       records bigint, tenant_id text, at_ms bigint, method text, endpoint text, status smallint, egress_bytes bigint,
       ingress_bytes bigint, duration_us bigint, documents_bytes bigint, files_bytes bigint, connections bigint,
       messages bigint, compute_ms bigint, detail text)`,
    [JSON.stringify(sums.ledger)],
  )
}

/** Rows are taken in key order, so that sinks that add to the same tenants never wait for each other in a circle. */
async function addHourly(client: ClientBase, sums: BatchSums): Promise<void> {
  if (sums.hourly.length === 0) return
  await client.query(
    `insert into metering.usage_hourly as u (tenant_id, hour, requests, egress_bytes, ingress_bytes, messages, faults,
       compute_ms)
     select tenant_id, to_timestamp(hour_ms / 1000.0), requests, egress_bytes, ingress_bytes, messages, faults, compute_ms
     from json_to_recordset($1) as r(tenant_id text, hour_ms bigint, requests bigint, egress_bytes bigint,
       ingress_bytes bigint, messages bigint, faults bigint, compute_ms bigint)
     order by 1, 2
     on conflict (tenant_id, hour) do update set requests = u.requests + excluded.requests,
       egress_bytes = u.egress_bytes + excluded.egress_bytes, ingress_bytes = u.ingress_bytes + excluded.ingress_bytes,
       messages = u.messages + excluded.messages, faults = u.faults + excluded.faults,
       compute_ms = u.compute_ms + excluded.compute_ms`,
    [JSON.stringify(sums.hourly)],
  )
}

async function addDailyTotals(client: ClientBase, sums: BatchSums): Promise<void> {
  if (sums.hourly.length === 0) return
  await client.query(
    `insert into metering.daily_totals as u (tenant_id, day, requests, egress_bytes, ingress_bytes, messages, faults,
       compute_ms)
     select tenant_id, (to_timestamp(hour_ms / 1000.0) at time zone 'UTC')::date, sum(requests), sum(egress_bytes),
       sum(ingress_bytes), sum(messages), sum(faults), sum(compute_ms)
     from json_to_recordset($1) as r(tenant_id text, hour_ms bigint, requests bigint, egress_bytes bigint,
       ingress_bytes bigint, messages bigint, faults bigint, compute_ms bigint)
     group by 1, 2 order by 1, 2
     on conflict (tenant_id, day) do update set requests = u.requests + excluded.requests,
       egress_bytes = u.egress_bytes + excluded.egress_bytes, ingress_bytes = u.ingress_bytes + excluded.ingress_bytes,
       messages = u.messages + excluded.messages, faults = u.faults + excluded.faults,
       compute_ms = u.compute_ms + excluded.compute_ms`,
    [JSON.stringify(sums.hourly)],
  )
}

async function addDaily(client: ClientBase, sums: BatchSums): Promise<void> {
  if (sums.daily.length === 0) return
  await client.query(
    `insert into metering.usage_daily as u (tenant_id, day, method, endpoint, status, requests, egress_bytes, ingress_bytes,
       duration_us)
     select tenant_id, day, method, endpoint, status, requests, egress_bytes, ingress_bytes, duration_us
     from json_to_recordset($1) as r(tenant_id text, day date, method text, endpoint text, status smallint, requests bigint,
       egress_bytes bigint, ingress_bytes bigint, duration_us bigint)
     order by 1, 2, 3, 4, 5
     on conflict (tenant_id, day, method, endpoint, status) do update set requests = u.requests + excluded.requests,
       egress_bytes = u.egress_bytes + excluded.egress_bytes, ingress_bytes = u.ingress_bytes + excluded.ingress_bytes,
       duration_us = u.duration_us + excluded.duration_us`,
    [JSON.stringify(sums.daily)],
  )
}

/** All tenants together; rows are written in one order, and sinks write to rows of their own, so none waits for another long. */
async function addPlatform(client: ClientBase, sums: BatchSums): Promise<void> {
  if (sums.daily.length === 0) return
  await client.query(
    `insert into metering.platform_daily as u (day, status, slot, requests, egress_bytes, ingress_bytes, duration_us)
     select day, status, pg_backend_pid() % 16, sum(requests), sum(egress_bytes), sum(ingress_bytes), sum(duration_us)
     from json_to_recordset($1) as r(day date, status smallint, requests bigint, egress_bytes bigint, ingress_bytes bigint,
       duration_us bigint)
     group by 1, 2 order by 1, 2
     on conflict (day, status, slot) do update set requests = u.requests + excluded.requests,
       egress_bytes = u.egress_bytes + excluded.egress_bytes, ingress_bytes = u.ingress_bytes + excluded.ingress_bytes,
       duration_us = u.duration_us + excluded.duration_us`,
    [JSON.stringify(sums.daily)],
  )
}

async function advanceMarks(client: ClientBase, marks: ReadonlyMap<string, number>, sums: BatchSums): Promise<void> {
  const ended = new Map(sums.ended.map((one) => [one.producer, one.lastSeenMs]))
  const rows = [...marks].map(([producer, mark]) => ({ producer, mark, ended_ms: ended.get(producer) ?? null }))
  await client.query(
    `update metering.producers p set mark = r.mark, last_seen_at = now(),
       ended_at = coalesce(to_timestamp(r.ended_ms / 1000.0), p.ended_at)
     from json_to_recordset($1) as r(producer text, mark bigint, ended_ms bigint)
     where p.producer = r.producer and p.mark < r.mark`,
    [JSON.stringify(rows)],
  )
}

/** Follows storage and connections; one sink at a time per tenant. A producer that is gone holds no connection any more. */
async function recordGauges(client: ClientBase, sums: BatchSums): Promise<void> {
  const endedProducers = sums.ended.map((one) => one.producer)
  if (sums.samples.length === 0 && endedProducers.length === 0) return
  const left = await client.query<{ tenant_id: string; meter: GaugeMeter; source: string }>(
    `select tenant_id, meter, source from metering.gauges where source = any($1) and source <> ''`,
    [endedProducers],
  )
  const samples = [...sums.samples]
  for (const { producer, lastSeenMs } of sums.ended) {
    const held = new Set(left.rows.filter((row) => row.source === producer).map((row) => row.tenant_id))
    for (const sample of sums.samples) if (sample.source === producer) held.add(sample.tenantId)
    const atMs = samples.reduce((ms, one) => (one.source === producer ? Math.max(ms, one.atMs) : ms), lastSeenMs)
    for (const tenantId of held)
      samples.push({ tenantId, meter: 'realtime_connections', source: producer, value: 0, atMs })
  }
  const tenants = [...new Set(samples.map((sample) => sample.tenantId))].sort()
  if (tenants.length === 0) return
  await client.query(
    `select pg_advisory_xact_lock(hashtextextended('metering.gauges:' || t, 0)) from unnest($1::text[]) as t`,
    [tenants],
  )
  const states = await client.query<{
    tenant_id: string
    meter: GaugeMeter
    source: string
    value: string | number
    since_ms: string | number
  }>(
    `select tenant_id, meter, source, value, (extract(epoch from since) * 1000)::bigint as since_ms
     from metering.gauges where tenant_id = any($1)`,
    [tenants],
  )
  const fold = new GaugeFold(
    states.rows.map((row) => ({
      tenantId: row.tenant_id,
      meter: row.meter,
      source: row.source,
      value: Number(row.value),
      sinceMs: Number(row.since_ms),
    })),
  )
  for (const sample of samples) fold.apply(sample)
  await saveGaugeStates(client, fold.changedStates(), endedProducers)
  await addGaugeHours(client, fold)
}

async function saveGaugeStates(
  client: ClientBase,
  states: readonly GaugeState[],
  endedProducers: readonly string[],
): Promise<void> {
  await client.query(
    `insert into metering.gauges (tenant_id, meter, source, value, since)
     select tenant_id, meter, source, value, to_timestamp(since_ms / 1000.0)
     from json_to_recordset($1) as r(tenant_id text, meter text, source text, value bigint, since_ms bigint)
     on conflict (tenant_id, meter, source) do update set value = excluded.value, since = excluded.since`,
    [
      JSON.stringify(
        states.map((s) => ({
          tenant_id: s.tenantId,
          meter: s.meter,
          source: s.source,
          value: s.value,
          since_ms: s.sinceMs,
        })),
      ),
    ],
  )
  if (endedProducers.length > 0)
    await client.query(`delete from metering.gauges where source = any($1) and source <> '' and value = 0`, [
      endedProducers,
    ])
}

/** Adds to the hours and to their days. */
async function addGaugeHours(client: ClientBase, fold: GaugeFold): Promise<void> {
  const hours = fold.hours().map((hour) => ({
    tenant_id: hour.tenantId,
    meter: hour.meter,
    hour_ms: hour.hourMs,
    value_ms: String(hour.valueMs),
    peak: hour.peak,
    last_value: hour.lastValue,
    last_ms: hour.lastAtMs,
  }))
  const rows = `json_to_recordset($1) as r(tenant_id text, meter text, hour_ms bigint, value_ms numeric, peak bigint,
       last_value bigint, last_ms bigint)`
  const merge = `do update set value_ms = g.value_ms + excluded.value_ms, peak = greatest(g.peak, excluded.peak),
       last_value = case when excluded.last_at >= g.last_at then excluded.last_value else g.last_value end,
       last_at = greatest(g.last_at, excluded.last_at)`
  await client.query(
    `insert into metering.gauge_hourly as g (tenant_id, meter, hour, value_ms, peak, last_value, last_at)
     select tenant_id, meter, to_timestamp(hour_ms / 1000.0), value_ms, peak, last_value, to_timestamp(last_ms / 1000.0)
     from ${rows} on conflict (tenant_id, meter, hour) ${merge}`,
    [JSON.stringify(hours)],
  )
  await client.query(
    `insert into metering.gauge_daily as g (tenant_id, meter, day, value_ms, peak, last_value, last_at)
     select tenant_id, meter, (to_timestamp(hour_ms / 1000.0) at time zone 'UTC')::date, sum(value_ms), max(peak),
       (array_agg(last_value order by last_ms desc))[1], to_timestamp(max(last_ms) / 1000.0)
     from ${rows} group by 1, 2, 3 on conflict (tenant_id, meter, day) ${merge}`,
    [JSON.stringify(hours)],
  )
}
