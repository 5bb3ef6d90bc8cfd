import type { PoolClient } from 'pg'
import type { PostgresPool } from '../runtime/postgres-pool.ts'
import { monthOf } from './month.ts'

/** What is compared: a half-open span of UTC time on whole hours, of one tenant or of all. */
export type Scope = { fromMs: number; untilMs: number; tenantId?: string }

/** One comparison: how much was compared, and the first place where the two sides differ. */
export type Finding = { check: string; compared: string; difference?: string }

/** What a spool directory holds of one producer: sequences `first` to `last`, found by reading it. */
export type SpooledProducer = { producer: string; first: number; last: number }

/**
 * Compares spool, ledger, rollups and usage with each other in one snapshot of the database. Every comparison is made by
 * adding up anew from the ledger's rows; none trusts a sum that another one made.
 */
export async function reconcile(
  pool: PostgresPool,
  scope: Scope,
  spooled: readonly SpooledProducer[],
  clientResponses?: number,
): Promise<Finding[]> {
  const client = await pool.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const findings = [
      ...compareSpools(spooled, await readMarks(client)),
      await compareMarks(client),
      await compareRollup(client, scope, HOURLY),
      await compareRollup(client, scope, TOTALS),
      await compareRollup(client, scope, DAILY),
      await compareMonths(client, scope),
      await compareInvoices(client, scope),
    ]
    if (clientResponses !== undefined) findings.push(await compareResponses(client, scope, clientResponses))
    await client.query('commit')
    return findings
  } finally {
    client.release()
  }
}

/** Spooled but not in the ledger yet: the caller may wait for it, or report it. */
export function countPending(spooled: readonly SpooledProducer[], marks: ReadonlyMap<string, number>): number {
  return spooled.reduce((sum, one) => sum + Math.max(0, one.last - (marks.get(one.producer) ?? 0)), 0)
}

/** The ledger's mark of each producer. */
export async function readMarks(db: Pick<PoolClient, 'query'>): Promise<Map<string, number>> {
  const { rows } = await db.query<{ producer: string; mark: string }>(
    'select producer, mark::text from metering.producers',
  )
  return new Map(rows.map((row) => [row.producer, Number(row.mark)]))
}

function compareSpools(spooled: readonly SpooledProducer[], marks: ReadonlyMap<string, number>): Finding[] {
  let records = 0
  for (const { producer, first, last } of spooled) {
    const mark = marks.get(producer) ?? 0
    records += Math.max(0, last - first + 1)
    const difference =
      last > mark
        ? `producer ${producer}: spooled up to ${last}, counted up to ${mark}`
        : first > mark + 1
          ? `producer ${producer}: records ${mark + 1} to ${first - 1} are neither in the spool nor counted`
          : undefined
    if (difference !== undefined) return [{ check: 'spool = ledger', compared: `${records} records`, difference }]
  }
  return [{ check: 'spool = ledger', compared: `${spooled.length} producers, ${records} records still on disk` }]
}

/** Every sequence number that was counted stands in the ledger, and none twice: the rows of a producer add up to its mark. */
async function compareMarks(client: PoolClient): Promise<Finding> {
  const { rows } = await client.query<{
    producers: string
    records: string
    producer: string | null
    mark: string
    found: string
  }>(
    `with sums as (select producer, sum(records) as found from metering.ledger group by producer),
       sides as (select coalesce(p.producer, s.producer) as producer, coalesce(p.mark, 0) as mark, coalesce(found, 0) as found
                 from metering.producers p full join sums s using (producer))
     select (select count(*) from sides)::text as producers, (select sum(found) from sides)::text as records,
       d.producer, d.mark::text, d.found::text
     from (select 1) one left join lateral (select * from sides where mark <> found order by producer limit 1) d on true`,
  )
  const row = rows[0]
  const compared = `${row?.producers ?? 0} producers, ${row?.records ?? 0} sequence numbers`
  if (row === undefined || row.producer === null) return { check: 'marks = ledger', compared }
  return {
    check: 'marks = ledger',
    compared,
    difference: `producer ${row.producer}: counted up to ${row.mark}, but the ledger holds ${row.found} records`,
  }
}

type Rollup = { check: string; table: string; key: string; fromLedger: string; period: string; sums: string }

const COUNTED = `(kind in ('request', 'compute') or messages is not null)`
const FAULTS = `sum(records) filter (where kind = 'request' and status in (502, 503, 504)) as faults`

const HOURLY: Rollup = {
  check: 'ledger = hourly rollup',
  table: 'usage_hourly',
  key: 'tenant_id, hour',
  fromLedger: `select tenant_id, hour, sum(records) filter (where kind = 'request') as requests, sum(egress_bytes) as egress_bytes,
    sum(ingress_bytes) as ingress_bytes, sum(messages) as messages, ${FAULTS}, sum(compute_ms) as compute_ms from metering.ledger
    where ${COUNTED} and hour >= $1 and hour < $2 and ($3::text is null or tenant_id = $3) group by 1, 2`,
  period: 'hour >= $1 and hour < $2',
  sums: 'requests, egress_bytes, ingress_bytes, messages, faults, compute_ms',
}

const WHOLE_DAYS = `hour >= date_trunc('day', $1::timestamptz, 'UTC')
    and hour < date_trunc('day', $2::timestamptz + interval '1 day' - interval '1 microsecond', 'UTC')`
const DAYS = `day >= ($1::timestamptz at time zone 'UTC')::date
    and day < (($2::timestamptz + interval '1 day' - interval '1 microsecond') at time zone 'UTC')::date`

const TOTALS: Rollup = {
  check: 'ledger = daily totals',
  table: 'daily_totals',
  key: 'tenant_id, day',
  fromLedger: `select tenant_id, (hour at time zone 'UTC')::date as day, sum(records) filter (where kind = 'request') as requests,
    sum(egress_bytes) as egress_bytes, sum(ingress_bytes) as ingress_bytes, sum(messages) as messages, ${FAULTS},
    sum(compute_ms) as compute_ms from metering.ledger where ${COUNTED} and ${WHOLE_DAYS} and ($3::text is null or tenant_id = $3) group by 1, 2`,
  period: DAYS,
  sums: 'requests, egress_bytes, ingress_bytes, messages, faults, compute_ms',
}

const DAILY: Rollup = {
  check: 'ledger = daily by endpoint',
  table: 'usage_daily',
  key: 'tenant_id, day, method, endpoint, status',
  fromLedger: `select tenant_id, (hour at time zone 'UTC')::date as day, method, endpoint, status, sum(records) as requests,
    sum(egress_bytes) as egress_bytes, sum(ingress_bytes) as ingress_bytes, sum(duration_us) as duration_us
    from metering.ledger where kind = 'request' and ${WHOLE_DAYS}
    and ($3::text is null or tenant_id = $3) group by 1, 2, 3, 4, 5`,
  period: DAYS,
  sums: 'requests, egress_bytes, ingress_bytes, duration_us',
}

async function compareRollup(client: PoolClient, scope: Scope, rollup: Rollup): Promise<Finding> {
  const columns = rollup.sums.split(', ')
  const zeroed = columns.map((column) => `coalesce(${column}, 0) as ${column}`).join(', ')
  const { rows } = await client.query<Record<string, string | null>>(
    `with l as materialized (select ${rollup.key}, ${zeroed} from (${rollup.fromLedger}) s),
       r as materialized (select ${rollup.key}, ${rollup.sums} from metering.${rollup.table}
             where ${rollup.period} and ($3::text is null or tenant_id = $3)),
       differing as (
         (select 'ledger' as side, * from (select * from l except all select * from r) a
          union all select 'rollup', * from (select * from r except all select * from l) b)
         order by ${rollup.key}, side)
     select (select count(*) from l)::text as compared, (select coalesce(sum(requests), 0) from l)::text as requests,
       (select string_agg(d.side || ': ' || to_jsonb(d)::text, ' / ') from (select * from differing limit 2) d) as difference`,
    [new Date(scope.fromMs), new Date(scope.untilMs), scope.tenantId ?? null],
  )
  const row = rows[0] ?? {}
  return {
    check: rollup.check,
    compared: `${row.compared ?? 0} rows, ${row.requests ?? 0} requests`,
    ...(row.difference === null || row.difference === undefined ? {} : { difference: row.difference }),
  }
}

/** The usage document's numbers (requests by endpoint, bytes from the daily totals) against the ledger, month by month. */
async function compareMonths(client: PoolClient, scope: Scope): Promise<Finding> {
  let months = 0
  let requests = 0
  for (let month = monthOf(scope.fromMs); month.startMs < scope.untilMs; month = monthOf(month.endMs)) {
    if (month.startMs < scope.fromMs || month.endMs > scope.untilMs) continue
    months += 1
    const { rows } = await client.query<Record<string, string>>(
      `with l as (select tenant_id, sum(records) as n, sum(egress_bytes) as egress from metering.ledger
                  where kind = 'request' and hour >= $1 and hour < $2 and ($3::text is null or tenant_id = $3) group by 1),
         d as (select tenant_id, sum(requests) as n from metering.usage_daily
               where day >= ($1::timestamptz at time zone 'UTC')::date and day < ($2::timestamptz at time zone 'UTC')::date
               and ($3::text is null or tenant_id = $3) group by 1),
         h as (select tenant_id, sum(requests) as n, sum(egress_bytes) as egress from metering.daily_totals
               where day >= ($1::timestamptz at time zone 'UTC')::date and day < ($2::timestamptz at time zone 'UTC')::date
               and ($3::text is null or tenant_id = $3) group by 1 having sum(requests) > 0)
       select tenant_id, coalesce(l.n, 0)::text as ledger, coalesce(d.n, 0)::text as document,
         coalesce(l.egress, 0)::text as ledger_egress, coalesce(h.egress, 0)::text as document_egress
       from l full join d using (tenant_id) full join h using (tenant_id) order by tenant_id`,
      [new Date(month.startMs), new Date(month.endMs), scope.tenantId ?? null],
    )
    for (const row of rows) {
      requests += Number(row.ledger)
      if (row.ledger === row.document && row.ledger_egress === row.document_egress) continue
      const difference = `tenant ${row.tenant_id}, ${month.text}: ledger ${row.ledger} requests and ${row.ledger_egress} bytes, usage ${row.document} and ${row.document_egress}`
      return { check: 'ledger = usage', compared: `${months} months, ${requests} requests`, difference }
    }
  }
  return { check: 'ledger = usage', compared: `${months} months, ${requests} requests` }
}

/**
 * Invoices against the usage they bill: the sums they were rated from, as far as no later usage has come in (that waits for the
 * next invoice), and the total against its lines and what is noted as billed.
 */
async function compareInvoices(client: PoolClient, scope: Scope): Promise<Finding> {
  const { rows } = await client.query<Record<string, string | null>>(
    `with chosen as (
       select i.*, (document->'basis'->'totals'->>'api_requests')::numeric as rated,
         (select coalesce(sum((line->>'amount_micros')::bigint), 0) from jsonb_array_elements(document->'lines') line) as lines,
         (select coalesce(sum((line->>'amount_micros')::bigint), 0) from jsonb_array_elements(document->'lines') line
            where line->>'kind' <> 'credit') as rated_lines,
         (select coalesce(sum((tax->>'amount_micros')::bigint), 0) from jsonb_array_elements(document->'tax_lines') tax) as taxes,
         (select coalesce(sum(rated_micros), 0) from metering.billed_months b where b.invoice_id = i.invoice_id) as billed,
         (select coalesce(sum(l.records), 0) from metering.ledger l where l.tenant_id = i.tenant_id and l.kind = 'request'
            and l.status not in (502, 503, 504)
            and l.hour >= i.month::timestamp at time zone 'UTC' and l.hour < (i.month + interval '1 month') at time zone 'UTC'
            and l.recorded_at < i.issued_at) as used
       from metering.invoices i where kind = 'invoice' and state <> 'void' and ($3::text is null or tenant_id = $3)
         and month::timestamp at time zone 'UTC' >= $1 and (month + interval '1 month') at time zone 'UTC' <= $2)
     select (select count(*) from chosen)::text as n, d.number::text, d.tenant_id, d.total_micros::text as total, d.lines::text,
       d.taxes::text, d.billed::text, d.rated::text, d.used::text, d.series
     from (select 1) one left join lateral (select * from chosen where total_micros <> lines + taxes or billed <> rated_lines
       or rated < used order by tenant_id limit 1) d on true`,
    [new Date(scope.fromMs), new Date(scope.untilMs), scope.tenantId ?? null],
  )
  const row = rows[0] ?? {}
  const compared = `${row.n ?? 0} invoices`
  if (row.number === null || row.number === undefined) return { check: 'usage = invoice', compared }
  const difference = `invoice ${row.series}-${row.number} of ${row.tenant_id}: total ${row.total}, lines ${row.lines}, taxes ${row.taxes}, billed ${row.billed}; rated ${row.rated} requests, used ${row.used}`
  return { check: 'usage = invoice', compared, difference }
}

/** What clients say they received against what is counted. */
async function compareResponses(client: PoolClient, scope: Scope, responses: number): Promise<Finding> {
  const { rows } = await client.query<{ n: string }>(
    `select coalesce(sum(records), 0)::text as n from metering.ledger
     where kind = 'request' and hour >= $1 and hour < $2 and ($3::text is null or tenant_id = $3)`,
    [new Date(scope.fromMs), new Date(scope.untilMs), scope.tenantId ?? null],
  )
  const counted = Number(rows[0]?.n ?? 0)
  return {
    check: 'responses = ledger',
    compared: `${responses} responses`,
    ...(counted === responses
      ? {}
      : { difference: `clients received ${responses} responses, the ledger holds ${counted}` }),
  }
}
