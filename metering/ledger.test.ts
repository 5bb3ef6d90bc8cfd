import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UsageRecord } from './contract.ts'
import { exportLedger } from './ledger-export.ts'
import { recordBatch } from './ledger-store.ts'
import { monthOf } from './month.ts'
import { encodeRecord } from './record-codec.ts'
import { siftEntries } from './sift.ts'
import type { StreamEntry } from './stream.ts'
import { openLedger } from './testing/harness.ts'

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

function entryOf(producer: string, firstSequence: number, records: readonly UsageRecord[]): StreamEntry {
  const payload = Buffer.from(records.map(encodeRecord).join('\n'))
  return { kind: 'records', producer, firstSequence, count: records.length, payload }
}

const NOW_MS = Date.UTC(2026, 10, 23, 12)

const arbitraryRecord = fc.record({
  kind: fc.constant('request' as const),
  tenantId: fc.constantFrom('ten_a', 'ten_b', 'ten_c'),
  completedAtMs: fc.integer({ min: NOW_MS - 5 * 3_600_000, max: NOW_MS }),
  method: fc.constantFrom('GET', 'POST'),
  endpoint: fc.constantFrom('/rest/v1/a', '/rest/v1/b', 'odd \0 "text" \ud800'),
  status: fc.constantFrom(200, 201, 500),
  egressBytes: fc.nat(),
  ingressBytes: fc.nat(),
  durationUs: fc.nat(),
})

/** What a stream may do to a spool: any stretches of it, in any order, overlapping and repeated. */
const arbitraryDelivery = fc.array(arbitraryRecord, { minLength: 1, maxLength: 60 }).chain((records) =>
  fc.record({
    records: fc.constant(records),
    stretches: fc.array(
      fc.record({ from: fc.nat({ max: records.length - 1 }), length: fc.integer({ min: 1, max: 20 }) }),
      { maxLength: 30 },
    ),
    batchSizes: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 }),
  }),
)

test('however entries are repeated, reordered and lost: once all has arrived, each sequence was accepted once', () => {
  fc.assert(
    fc.property(arbitraryDelivery, ({ records, stretches }) => {
      const marks = new Map<string, number>()
      const seen: number[] = []
      const deliver = (entry: StreamEntry) => {
        const sifted = siftEntries(marks, [entry])
        for (const [producer, mark] of sifted.marks) marks.set(producer, mark)
        for (const one of sifted.accepted) for (let s = one.firstSequence; s <= one.lastSequence; s++) seen.push(s)
      }
      for (const { from, length } of stretches) deliver(entryOf('prd_x', from + 1, records.slice(from, from + length)))
      deliver(entryOf('prd_x', 1, records))
      expect(seen).toEqual(records.map((_, i) => i + 1))
    }),
  )
})

test('the ledger, its rollups and its marks are exact after duplicates, reorder, gaps and crashes', async () => {
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(arbitraryDelivery, { minLength: 1, maxLength: 3 }),
      fc.infiniteStream(fc.constantFrom('commit', 'commit', 'crash')),
      async (deliveries, fates) => {
        run += 1
        await client.query(
          'truncate metering.ledger, metering.producers, metering.usage_hourly, metering.usage_daily, metering.daily_totals',
        )
        const queue = deliveries.flatMap(({ records, stretches }, p) => [
          ...stretches.map(({ from, length }) =>
            entryOf(`prd_${run}_${p}`, from + 1, records.slice(from, from + length)),
          ),
          entryOf(`prd_${run}_${p}`, 1, records),
        ])
        const sizes = deliveries.flatMap((one) => one.batchSizes)
        for (let i = 0, turn = 0; i < queue.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1
          const batch = queue.slice(i, i + size)
          const fate = fates.next().value
          if (fate === 'crash') {
            // The sink dies inside its transaction; the stream still holds the batch and gives it out again.
            const dying = brokenClient(client)
            await expect(recordBatch(dying, batch, NOW_MS)).rejects.toThrow('crashed')
          }
          await recordBatch(client, batch, NOW_MS)
          i += size
        }
        const expected = deliveries.flatMap((one) => one.records)
        await expectExact(expected)
      },
    ),
    { numRuns: 15 },
  )
})

test('an unreadable record, a hole and the end of a producer are entries too: every sequence is accounted for', async () => {
  await client.query('truncate metering.ledger, metering.producers')
  const good = encodeRecord({ kind: 'realtime', tenantId: 'ten_a', completedAtMs: NOW_MS, connections: 3 })
  await recordBatch(
    client,
    [
      { kind: 'records', producer: 'prd_h', firstSequence: 1, count: 2, payload: Buffer.from(`${good}\nnonsense \0`) },
      { kind: 'hole', producer: 'prd_h', firstSequence: 3, count: 4, payload: Buffer.alloc(0) },
      { kind: 'end', producer: 'prd_h', firstSequence: 7, count: 1, payload: Buffer.from(String(NOW_MS + 60_000)) },
    ],
    NOW_MS,
  )
  const { rows } = await client.query('select kind, records::int from metering.ledger order by first_sequence')
  expect(rows).toEqual([
    { kind: 'realtime', records: 1 },
    { kind: 'unreadable', records: 1 },
    { kind: 'hole', records: 4 },
    { kind: 'end', records: 1 },
  ])
  expect((await client.query('select * from metering.gauges')).rows).toEqual([])
  const held = await client.query(
    `select value_ms::int from metering.gauge_hourly where meter = 'realtime_connections'`,
  )
  expect(held.rows).toEqual([{ value_ms: 180_000 }])
})

test('the ledger is append-only, also for its owner', async () => {
  await recordBatch(client, [entryOf('prd_append', 1, [{ ...sample, tenantId: 'ten_a' }])], NOW_MS)
  await expect(client.query('update metering.ledger set records = 2')).rejects.toThrow('append-only')
  await expect(client.query('delete from metering.ledger')).rejects.toThrow('append-only')
})

test('rows that the default partition caught move into the month that takes them', async () => {
  const far = Date.UTC(2020, 1, 10)
  await recordBatch(client, [entryOf('prd_old', 1, [{ ...sample, completedAtMs: far }])], NOW_MS)
  expect((await client.query('select 1 from metering.ledger_default')).rowCount).toBe(1)
  await client.query(`select metering.ensure_ledger_partitions('2020-02-01', 0)`)
  expect((await client.query('select 1 from metering.ledger_default')).rowCount).toBe(0)
  expect((await client.query('select 1 from metering.ledger_2020_02')).rowCount).toBe(1)
})

test("a tenant's ledger is exported whole, page by page", async () => {
  const records = Array.from({ length: 4_500 }, (_, i) => ({ ...sample, tenantId: 'ten_export', endpoint: `/c${i}` }))
  for (let i = 0; i < records.length; i += 1_500)
    await recordBatch(client, [entryOf('prd_export', i + 1, records.slice(i, i + 1_500))], NOW_MS)
  const csv = await new Response(exportLedger(ledger.pool, 'ten_export', monthOf(NOW_MS))).text()
  const lines = csv.trimEnd().split('\r\n').slice(1)
  expect(new Set(lines.map((line) => line.split(',')[3])).size).toBe(4_500)
  expect(lines).toHaveLength(4_500)
})

const sample = {
  kind: 'request',
  tenantId: 'ten_old',
  completedAtMs: NOW_MS,
  method: 'GET',
  endpoint: '/',
  status: 200,
  egressBytes: 0,
  ingressBytes: 0,
  durationUs: 0,
} as const

/** A client that dies at the commit: everything before it was sent. */
function brokenClient(real: pg.Client): pg.Client {
  return new Proxy(real, {
    get(target, name) {
      if (name !== 'query') return Reflect.get(target, name)
      return (text: string, values?: unknown[]) =>
        text === 'commit' ? Promise.reject(new Error('crashed')) : target.query(text, values)
    },
  })
}

async function expectExact(records: readonly UsageRecord[]): Promise<void> {
  const requests = records.filter((record) => record.kind === 'request')
  const sum = (pick: (record: (typeof requests)[number]) => number) =>
    String(requests.reduce((total, record) => total + pick(record), 0))
  const expected = {
    n: String(requests.length),
    egress: sum((r) => r.egressBytes),
    ingress: sum((r) => r.ingressBytes),
  }
  for (const [table, count] of [
    ['ledger', 'records'],
    ['usage_hourly', 'requests'],
    ['usage_daily', 'requests'],
    ['daily_totals', 'requests'],
  ]) {
    const { rows } = await client.query(
      `select sum(${count})::text as n, sum(egress_bytes)::text as egress, sum(ingress_bytes)::text as ingress
       from metering.${table}`,
    )
    expect({ table, ...rows[0] }).toEqual({ table, ...expected })
  }
  const byStatus = await client.query(
    'select tenant_id, status, sum(requests)::int as n from metering.usage_daily group by 1, 2 order by 1, 2',
  )
  const counted = new Map<string, number>()
  for (const r of requests)
    counted.set(`${r.tenantId} ${r.status}`, (counted.get(`${r.tenantId} ${r.status}`) ?? 0) + 1)
  expect(byStatus.rows.map((row) => [`${row.tenant_id} ${row.status}`, row.n])).toEqual([...counted].sort())
  const marks = await client.query('select sum(mark)::text as marks from metering.producers')
  expect(marks.rows[0]?.marks).toBe(String(records.length))
}
