import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { recordBatch } from './ledger-store.ts'
import { parseMonth } from './month.ts'
import { type Finding, reconcile, type SpooledProducer } from './reconciliation.ts'
import { encodeRecord } from './record-codec.ts'
import { openSpool } from './spool.ts'
import { surveySpools } from './spool-survey.ts'
import { appendMany, openLedger, quiet, request } from './testing/harness.ts'

const month = parseMonth('2026-11')
const scope = { fromMs: month.startMs, untilMs: month.endMs }
let ledger: Awaited<ReturnType<typeof openLedger>>
let client: pg.Client

beforeAll(async () => {
  ledger = await openLedger()
  client = new pg.Client({ connectionString: ledger.url })
  await client.connect()
  const records = Array.from({ length: 30 }, (_, i) =>
    request(i % 2 === 0 ? 'ten_a' : 'ten_b', { completedAtMs: Date.UTC(2026, 10, 1 + (i % 20), i % 24) }),
  )
  const at = { kind: 'realtime', tenantId: 'ten_a', completedAtMs: Date.UTC(2026, 10, 25) } as const
  const others = [
    { ...at, connections: 5 },
    { ...at, messages: 7 },
  ]
  const payload = Buffer.from([...records, ...others].map(encodeRecord).join('\n'))
  const entry = { kind: 'records', producer: 'prd_1', firstSequence: 1, count: 32, payload } as const
  await recordBatch(client, [entry], Date.UTC(2026, 10, 28))
})
afterAll(async () => {
  await client.end()
  await ledger.close()
})

async function differences(
  change: string,
  spooled: readonly SpooledProducer[] = [],
  responses?: number,
): Promise<Finding[]> {
  const backUp = ['usage_hourly', 'usage_daily', 'daily_totals', 'producers']
  for (const table of backUp) await client.query(`create table kept_${table} as table metering.${table}`)
  try {
    if (change !== '') await client.query(change)
    const all = await reconcile(ledger.pool, scope, spooled, responses)
    return all.filter((finding) => finding.difference !== undefined)
  } finally {
    for (const table of backUp) {
      await client.query(`truncate metering.${table}`)
      await client.query(`insert into metering.${table} table kept_${table}`)
      await client.query(`drop table kept_${table}`)
    }
  }
}

test('an untouched ledger reconciles, with the responses that clients counted', async () => {
  expect(await differences('', [{ producer: 'prd_1', first: 21, last: 32 }], 30)).toEqual([])
})

test('each kind of difference is found and named', async () => {
  expect(await differences('', [{ producer: 'prd_1', first: 1, last: 33 }])).toMatchObject([
    { check: 'spool = ledger', difference: 'producer prd_1: spooled up to 33, counted up to 32' },
  ])
  expect(await differences('', [{ producer: 'prd_2', first: 5, last: 4 }])).toMatchObject([{ check: 'spool = ledger' }])
  expect(await differences('', [], 29)).toMatchObject([
    { check: 'responses = ledger', difference: 'clients received 29 responses, the ledger holds 30' },
  ])
  expect(await differences('update metering.producers set mark = 33')).toMatchObject([
    { check: 'marks = ledger', difference: 'producer prd_1: counted up to 33, but the ledger holds 32 records' },
  ])
  const hourly = await differences(
    `update metering.usage_hourly set egress_bytes = egress_bytes + 1 where tenant_id = 'ten_b' and hour = '2026-11-02T01:00Z'`,
  )
  expect(hourly.map((finding) => finding.check)).toEqual(['ledger = hourly rollup'])
  expect(hourly[0]?.difference).toContain('ten_b')
  const totals = await differences(
    `update metering.daily_totals set egress_bytes = 1 where tenant_id = 'ten_b' and day = '2026-11-04'`,
  )
  expect(totals.map((finding) => finding.check)).toEqual(['ledger = daily totals', 'ledger = usage'])
  const daily = await differences(`delete from metering.usage_daily where tenant_id = 'ten_a' and day = '2026-11-03'`)
  expect(daily.map((finding) => finding.check)).toEqual(['ledger = daily by endpoint', 'ledger = usage'])
  expect(daily[0]?.difference).toContain('2026-11-03')
})

test('a span of hours and one tenant can be reconciled alone', async () => {
  const from = Date.UTC(2026, 10, 2, 1)
  const findings = await reconcile(ledger.pool, { fromMs: from, untilMs: from + 2 * 3_600_000, tenantId: 'ten_b' }, [])
  expect(findings.filter((finding) => finding.difference !== undefined)).toEqual([])
  expect(findings.find((finding) => finding.check === 'ledger = hourly rollup')?.compared).toBe('1 rows, 1 requests')
})

test('a survey finds what a spool holds without touching it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'aerodb-survey-'))
  const spool = openSpool({ directory, log: quiet, maxSegmentBytes: 2_000 })
  await appendMany(spool, 'ten_a', 100, 7)
  expect(await surveySpools(directory)).toEqual([{ producer: spool.producer, first: 1, last: 100 }])
  await spool.close()
  await rm(directory, { recursive: true })
})
