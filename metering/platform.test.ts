import { afterAll, beforeAll, expect, test } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { loadPlanCatalogue } from '../tenancy/plan.ts'
import { Billing } from './billing.ts'
import { DEFAULT_SELLER, noTax } from './invoice-document.ts'
import { saveHistory } from './invoice-store.ts'
import { recordBatch } from './ledger-store.ts'
import { parseMonth, parsePeriod } from './month.ts'
import { readPlatformDays } from './platform-store.ts'
import { encodeRecord } from './record-codec.ts'
import { addUpRevenue, readRevenue } from './revenue.ts'
import { openLedger, request } from './testing/harness.ts'
import { buildSeries } from './usage-series.ts'
import { UsageStore } from './usage-store.ts'

const NOW = Date.UTC(2026, 10, 3, 12)
const DAY = (day: number, hour = 1) => Date.UTC(2026, 10, day, hour)
const clock = new ManualClock(NOW)
const catalogue = loadPlanCatalogue()
let ledger: Awaited<ReturnType<typeof openLedger>>
let billing: Billing

beforeAll(async () => {
  ledger = await openLedger()
  billing = new Billing({ pool: ledger.pool, catalogue, seller: DEFAULT_SELLER, tax: noTax, clock })
  const records = [
    request('ten_a', { completedAtMs: DAY(1), status: 200, durationUs: 4_000 }),
    request('ten_a', { completedAtMs: DAY(1), status: 404, durationUs: 2_000 }),
    request('ten_b', { completedAtMs: DAY(1, 23), status: 503, durationUs: 3_000 }),
    request('ten_b', { completedAtMs: DAY(3), status: 201 }),
    { kind: 'storage' as const, tenantId: 'ten_a', completedAtMs: DAY(1), documentsBytes: 1_000, filesBytes: 0 },
    { kind: 'storage' as const, tenantId: 'ten_a', completedAtMs: DAY(1, 13), documentsBytes: 3_000, filesBytes: 0 },
    { kind: 'storage' as const, tenantId: 'ten_a', completedAtMs: DAY(3, 0), documentsBytes: 2_000, filesBytes: 0 },
  ]
  const client = await ledger.pool.connect()
  try {
    const payload = Buffer.from(records.map(encodeRecord).join('\n'))
    const entry = { kind: 'records', producer: 'p', firstSequence: 1, count: records.length, payload } as const
    await recordBatch(client, [entry], NOW)
  } finally {
    client.release()
  }
})
afterAll(() => ledger.close())

test('all tenants together by day: requests by status, faults of ours, and how long they took', async () => {
  const days = await readPlatformDays(ledger.pool, parsePeriod('2026-11-01', '2026-11-30'), NOW)
  expect(days).toMatchObject([
    {
      at: '2026-11-01T00:00:00.000Z',
      requests: 3,
      by_status: { '2xx': 1, '4xx': 1, '5xx': 1 },
      faults: 1,
      average_ms: 3,
    },
    { at: '2026-11-02T00:00:00.000Z', requests: 0, by_status: {}, average_ms: null },
    { at: '2026-11-03T00:00:00.000Z', requests: 1, by_status: { '2xx': 1 }, faults: 0 },
  ])
})

test('a series goes over months, has requests by status, and carries on what is held', async () => {
  const store = new UsageStore(ledger.pool)
  const period = parsePeriod('2026-10-31', '2026-11-04')
  const requests = await buildSeries(store, 'ten_a', period, 'api_requests', 'day', NOW, true)
  expect(requests).toEqual([
    { at: '2026-10-31T00:00:00.000Z', value: 0, by_status: {} },
    { at: '2026-11-01T00:00:00.000Z', value: 2, by_status: { '2xx': 1, '4xx': 1 } },
    { at: '2026-11-02T00:00:00.000Z', value: 0, by_status: {} },
    { at: '2026-11-03T00:00:00.000Z', value: 0, by_status: {} },
  ])
  const held = await buildSeries(store, 'ten_a', period, 'documents_bytes', 'day', NOW)
  expect(held.map(({ value }) => value)).toEqual([0, 3_000, 3_000, 2_000])
  expect(held.map(({ average }) => average && Math.round(average))).toEqual([0, 1_875, 3_000, undefined])
  expect(
    (await buildSeries(store, 'ten_a', parsePeriod('2026-11-03', '2026-11-04'), 'documents_bytes', 'hour', NOW))[5],
  ).toMatchObject({ value: 2_000 })
  await expect(
    buildSeries(store, 'ten_a', parsePeriod('2025-11-01', '2026-10-01'), 'egress', 'hour', NOW),
  ).rejects.toMatchObject({ status: 400, code: 'invalid_step' })
  expect(() => parsePeriod('2026-11-31', '2026-12-02')).toThrow(expect.objectContaining({ code: 'invalid_period' }))
  expect(() => parsePeriod('2026-11-03', '2026-11-03')).toThrow(expect.objectContaining({ code: 'invalid_period' }))
})

test('revenue: invoiced months as they stand, the open one by its drafts', async () => {
  for (const [tenantId, plan] of [
    ['ten_a', 'pro'],
    ['ten_b', 'free'],
    ['ten_c', 'pro'],
  ] as const)
    await saveHistory(ledger.pool, tenantId, {
      name: tenantId,
      version: 1,
      segments: [{ plan, isolation: 'schema', from: '2026-10-01T00:00:00Z', until: null }],
    })
  await billing.closeMonth(parseMonth('2026-10'))
  await addUpRevenue(ledger.pool, billing, clock)
  const november = (await billing.draft('ten_a', parseMonth('2026-11')))?.total_micros ?? 0
  const [open, closed, before] = await readRevenue(ledger.pool, parseMonth('2026-11'), 3)
  expect(november).toBeGreaterThan(0)
  expect(open).toMatchObject({
    month: '2026-11',
    state: 'open',
    invoices: 0,
    drafts: {
      tenants: 3,
      total_micros: 2 * november,
      by_plan: [
        { plan: 'free', tenants: 1, total_micros: 0 },
        { plan: 'pro', tenants: 2, total_micros: 2 * november },
      ],
    },
  })
  expect(closed).toMatchObject({ month: '2026-10', state: 'over', invoices: 3, credited_micros: 0, drafts: null })
  expect(closed?.invoiced_micros).toBeGreaterThan(0)
  expect(before).toMatchObject({ month: '2026-09', invoices: 0, invoiced_micros: 0 })
})
