import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { loadPlanCatalogue } from '../tenancy/plan.ts'
import { Billing } from './billing.ts'
import { recordComputeFacts } from './compute-facts.ts'
import { DEFAULT_SELLER, noTax } from './invoice-document.ts'
import { saveHistory } from './invoice-store.ts'
import { recordBatch } from './ledger-store.ts'
import { parseMonth } from './month.ts'
import { reconcile } from './reconciliation.ts'
import { encodeRecord } from './record-codec.ts'
import { openLedger, request } from './testing/harness.ts'
import { buildUsageDocument } from './usage-document.ts'
import { buildSeries } from './usage-series.ts'
import { UsageStore } from './usage-store.ts'

const HOUR_MS = 3_600_000
const OCTOBER = parseMonth('2026-10')
const OCTOBER_PERIOD = { fromMs: OCTOBER.startMs, untilMs: OCTOBER.endMs }
const clock = new ManualClock(Date.UTC(2026, 10, 1, 6))
let ledger: Awaited<ReturnType<typeof openLedger>>
let client: pg.Client

beforeAll(async () => {
  ledger = await openLedger()
  client = new pg.Client({ connectionString: ledger.url })
  await client.connect()
})
afterAll(async () => {
  await client.end()
  await ledger.close()
})

const tell = (first_sequence: number, facts: [endedAt: string, ranMs: number][], tenant_id = 'ten_a') =>
  recordComputeFacts(
    ledger.pool,
    {
      producer: 'control-compute',
      first_sequence,
      facts: facts.map(([endedAt, ran_ms]) => ({ tenant_id, ended_at_ms: Date.parse(endedAt), ran_ms })),
    },
    clock.nowMs(),
  )
const history = (tenantId: string, isolation: 'schema' | 'database') =>
  saveHistory(ledger.pool, tenantId, {
    name: tenantId,
    version: 1,
    segments: [{ plan: 'pro', isolation, from: '2026-09-01T00:00:00Z', until: null }],
  })
async function differences() {
  return (await reconcile(ledger.pool, OCTOBER_PERIOD, [])).filter((finding) => finding.difference !== undefined)
}

test('running time is counted once however often it is told, shown in the usage, and billed', async () => {
  const store = new UsageStore(ledger.pool)
  await history('ten_a', 'database')
  const facts: [string, number][] = [
    ['2026-10-01T01:00:00Z', HOUR_MS],
    ['2026-10-01T01:00:30.500Z', 30_500],
    ['2026-11-01T00:00:00Z', 101 * HOUR_MS],
  ]
  expect(await Promise.all([tell(1, facts), tell(1, facts), tell(1, facts.slice(0, 2))])).toContain(3)
  expect(await tell(1, facts)).toBe(3)
  const document = await buildUsageDocument(store, 'ten_a', OCTOBER, clock.nowMs())
  expect(document.resources.compute).toEqual({ seconds: 102 * 3_600 + 30.5 })
  const series = await buildSeries(store, 'ten_a', OCTOBER, 'compute_seconds', 'hour', clock.nowMs())
  expect(series.filter((point) => point.value > 0)).toEqual([
    { at: '2026-10-01T00:00:00.000Z', value: 3_600 },
    { at: '2026-10-01T01:00:00.000Z', value: 30.5 },
    { at: '2026-10-31T23:00:00.000Z', value: 101 * 3_600 },
  ])
  const billing = new Billing({
    pool: ledger.pool,
    catalogue: loadPlanCatalogue(),
    seller: DEFAULT_SELLER,
    tax: noTax,
    clock,
  })
  const draft = await billing.draft('ten_a', OCTOBER)
  expect(draft?.lines.find((line) => 'meter' in line && line.meter === 'compute_seconds')).toMatchObject({
    quantity: 102 * 3_600 + 30,
    included: 360_000,
    billed_units: 3,
    amount_micros: 50_000,
  })
  await billing.closeMonth(OCTOBER)
  expect(await differences()).toEqual([])
  // What control had measured and could not tell in time.
  await tell(4, [['2026-10-20T12:00:00Z', 10 * HOUR_MS]])
  expect((await billing.draft('ten_a', parseMonth('2026-11')))?.lines.at(-1)).toMatchObject({
    kind: 'adjustment',
    amount_micros: 160_000,
  })
})

test('facts that only a lost ledger had counted leave a hole that is seen, and hold up nothing', async () => {
  expect(await tell(10, [['2026-10-02T01:00:00Z', 5_000]], 'ten_b')).toBe(10)
  const { rows } = await client.query(
    `select first_sequence::int as first, last_sequence::int as last from metering.ledger where kind = 'hole'`,
  )
  expect(rows).toEqual([{ first: 5, last: 9 }])
  expect(await differences()).toEqual([])
})

test('requests that fail through a fault of ours are recorded and shown, and not billed', async () => {
  await history('ten_faulty', 'schema')
  const statuses = [200, 404, 500, 502, 503, 504, 504]
  const payload = statuses.map((status) =>
    encodeRecord(
      request('ten_faulty', { status, completedAtMs: Date.UTC(2026, 9, 7), egressBytes: 0, ingressBytes: 0 }),
    ),
  )
  const entry = { kind: 'records', producer: 'prd_faulty', firstSequence: 1, count: statuses.length } as const
  await recordBatch(client, [{ ...entry, payload: Buffer.from(payload.join('\n')) }], clock.nowMs())
  const document = await buildUsageDocument(new UsageStore(ledger.pool), 'ten_faulty', OCTOBER, clock.nowMs())
  expect(document.resources.api_requests).toMatchObject({ total: 7, billable: 3, by_status: { 503: 1, 504: 2 } })
  const billing = new Billing({
    pool: ledger.pool,
    catalogue: loadPlanCatalogue(),
    seller: DEFAULT_SELLER,
    tax: noTax,
    clock,
  })
  await billing.closeMonth(OCTOBER)
  const invoice = await billing.find('ten_faulty', OCTOBER)
  expect(invoice?.document.lines).toMatchObject([{ kind: 'base_fee' }, { meter: 'api_requests', quantity: 3 }])
  expect(await differences()).toEqual([])
})
