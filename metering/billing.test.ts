import fc from 'fast-check'
import { Hono } from 'hono'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { renderProblems, requestIdMiddleware, type ServiceVariables } from '../runtime/hono-service.ts'
import { loadPlanCatalogue } from '../tenancy/plan.ts'
import { Billing } from './billing.ts'
import { billingRoutes, readFormat } from './billing-routes.ts'
import { addCredit, listCredits, takeCredits } from './credits.ts'
import { DEFAULT_SELLER, type TaxHook } from './invoice-document.ts'
import { saveHistory } from './invoice-store.ts'
import { type InvoiceView, text, toCsv, viewDraft } from './invoice-view.ts'
import { recordBatch } from './ledger-store.ts'
import { parseMonth } from './month.ts'
import { PdfRenderer } from './pdf-renderer.ts'
import { reconcile } from './reconciliation.ts'
import { encodeRecord } from './record-codec.ts'
import { SpendWatch } from './spend.ts'
import { openLedger, quiet, request } from './testing/harness.ts'

const OCTOBER = parseMonth('2026-10')
const NOVEMBER = parseMonth('2026-11')
const catalogue = loadPlanCatalogue()
let ledger: Awaited<ReturnType<typeof openLedger>>
let client: pg.Client
let clock: ManualClock
let billing: Billing
let producers = 0

beforeAll(async () => {
  ledger = await openLedger()
  client = new pg.Client({ connectionString: ledger.url })
  await client.connect()
})
afterAll(async () => {
  await client.end()
  await ledger.close()
})
beforeEach(async () => {
  await client.query(`truncate metering.ledger, metering.producers, metering.usage_hourly, metering.usage_daily,
    metering.daily_totals, metering.gauges, metering.gauge_hourly, metering.gauge_daily, metering.billed_tenants, metering.customers,
    metering.billed_months, metering.invoices, metering.stripe_invoices, metering.invoice_numbers, metering.credits,
    metering.credit_uses`)
  clock = new ManualClock(Date.UTC(2026, 10, 1, 6))
  billing = makeBilling()
})

function makeBilling(tax: TaxHook = () => []): Billing {
  return new Billing({ pool: ledger.pool, catalogue, seller: DEFAULT_SELLER, tax, clock })
}

async function tellHistory(
  tenantId: string,
  segments: [string, string, string | null][],
  version = 1,
): Promise<boolean> {
  return saveHistory(ledger.pool, tenantId, {
    name: tenantId.replace('ten_', ''),
    version,
    segments: segments.map(([plan, from, until]) => ({ plan, isolation: 'schema', from, until })),
  })
}

async function use(tenantId: string, at: string, requests: number, egressBytes = 0): Promise<void> {
  const one = request(tenantId, { completedAtMs: Date.parse(at), egressBytes, ingressBytes: 0 })
  const payload = Buffer.from(Array.from({ length: requests }, () => encodeRecord(one)).join('\n'))
  producers += 1
  const producer = `prd_${producers}`
  await recordBatch(client, [{ kind: 'records', producer, firstSequence: 1, count: requests, payload }], clock.nowMs())
}

async function issued(tenantId: string, month = OCTOBER) {
  const invoice = await billing.find(tenantId, month)
  if (invoice === undefined) throw new Error('no invoice')
  return invoice
}

test('a month that is over is closed once: numbers without gaps, one invoice a tenant, also by many replicas at once', async () => {
  for (let i = 0; i < 600; i++)
    await tellHistory(`ten_${String(i).padStart(3, '0')}`, [['pro', '2026-09-15T00:00:00Z', null]])
  await use('ten_000', '2026-10-31T23:59:59.999Z', 3, 60_000_000_000)
  await use('ten_000', '2026-11-01T00:00:00Z', 5)
  const replicas = await Promise.all([1, 2, 3].map(() => makeBilling().closeMonth(OCTOBER)))
  expect(replicas.reduce((sum, replica) => sum + replica.closed, 0)).toBe(600)
  expect((await billing.closeMonth(OCTOBER)).closed).toBe(0)
  const { rows } = await client.query(
    `select count(*)::int as n, count(distinct tenant_id)::int as tenants, min(number)::int as first, max(number)::int as last
     from metering.invoices`,
  )
  expect(rows).toEqual([{ n: 600, tenants: 600, first: 1, last: 600 }])
  const invoice = await issued('ten_000')
  expect(invoice.document.lines).toMatchObject([
    { kind: 'base_fee', amount_micros: 25_000_000 },
    { meter: 'api_requests', quantity: 3, amount_micros: 0 },
    { meter: 'egress_bytes', quantity: 180_000_000_000, billed_units: 130, amount_micros: 11_700_000 },
  ])
  expect(invoice.document).toMatchObject({ total: '36.70', due_at: '2026-11-15T06:00:00.000Z' })
})

test('an open month is a draft and cannot be closed', async () => {
  await tellHistory('ten_a', [['pro', '2026-11-16T00:00:00Z', null]])
  clock = new ManualClock(Date.UTC(2026, 10, 20))
  billing = makeBilling()
  await expect(billing.closeMonth(NOVEMBER)).rejects.toMatchObject({ code: 'month_open' })
  const draft = await billing.draft('ten_a', NOVEMBER)
  expect(draft).toMatchObject({ number: null, total: '12.50' })
  expect(await billing.draft('ten_a', OCTOBER)).toBeUndefined()
  expect(await billing.draft('ten_unknown', NOVEMBER)).toBeUndefined()
})

test('usage of each stretch is billed on the plan it was used on, to the hour; fees to the second', async () => {
  await tellHistory('ten_a', [
    ['free', '2026-10-01T00:00:00Z', '2026-10-11T00:00:00Z'],
    ['pro', '2026-10-11T00:00:00Z', '2026-10-20T12:00:00Z'],
  ])
  await use('ten_a', '2026-10-10T23:00:00Z', 1, 99_000_000_000)
  await use('ten_a', '2026-10-11T00:00:00Z', 1, 20_000_000_000)
  await billing.closeMonth(OCTOBER)
  const { document } = await issued('ten_a')
  expect(document.lines).toMatchObject([
    { kind: 'base_fee', plan: 'pro', quantity: 9.5 * 86_400, exact_micros: 7_661_290 },
    { meter: 'api_requests', plan: 'pro', quantity: 1 },
    { meter: 'egress_bytes', plan: 'pro', quantity: 20_000_000_000, included: 15_322_580_645, billed_units: 5 },
  ])
})

test('the hour in which a tenant came is billed, and one that two stretches share is billed once', async () => {
  await tellHistory('ten_a', [
    ['pro', '2026-10-05T10:20:30Z', '2026-10-05T11:10:00Z'],
    ['enterprise', '2026-10-05T11:40:00Z', '2026-10-05T12:30:00Z'],
  ])
  await use('ten_a', '2026-10-05T10:25:00Z', 1)
  await use('ten_a', '2026-10-05T11:50:00Z', 2)
  await use('ten_a', '2026-10-05T12:29:59Z', 4)
  await billing.closeMonth(OCTOBER)
  const { lines } = (await issued('ten_a')).document
  const requests = lines.flatMap((line) =>
    'meter' in line && line.meter === 'api_requests' ? [[line.plan, line.quantity]] : [],
  )
  expect(requests).toEqual([
    ['pro', 3],
    ['enterprise', 4],
  ])
})

test('stored bytes are billed for the time they were held, also without a sample after the change of plan', async () => {
  await tellHistory('ten_a', [['enterprise', '2026-09-01T00:00:00Z', null]])
  const sample = {
    kind: 'storage',
    tenantId: 'ten_a',
    completedAtMs: Date.UTC(2026, 9, 31, 12),
    documentsBytes: 4e12,
  } as const
  const entry = { kind: 'records', firstSequence: 1, count: 1, payload: Buffer.from(encodeRecord(sample)) } as const
  await recordBatch(client, [{ ...entry, producer: 'prd_storage' }], clock.nowMs())
  await billing.closeMonth(OCTOBER)
  const first = (await issued('ten_a')).document.lines.find(
    (line) => 'meter' in line && line.meter === 'storage_byte_hours',
  )
  expect(first).toMatchObject({ quantity: 48e12, billed_units: 16 })
  // The next sample integrates the same span into the hours: nothing is billed anew for October.
  const next = { ...sample, completedAtMs: Date.UTC(2026, 10, 1, 7), documentsBytes: 0 }
  await recordBatch(
    client,
    [{ ...entry, producer: 'prd_next', payload: Buffer.from(encodeRecord(next)) }],
    Date.UTC(2026, 10, 1, 7),
  )
  const november = await billing.draft('ten_a', NOVEMBER)
  expect(november?.lines.find((line) => 'meter' in line && line.meter === 'storage_byte_hours')).toMatchObject({
    quantity: 28e12,
  })
  expect(november?.lines.some((line) => line.kind === 'adjustment')).toBe(false)
})

test('what comes after the close is an adjustment of the next invoice, once', async () => {
  await tellHistory('ten_a', [['pro', '2026-09-01T00:00:00Z', null]])
  await use('ten_a', '2026-10-05T00:00:00Z', 1, 50_000_000_000)
  await billing.closeMonth(OCTOBER)
  await use('ten_a', '2026-10-05T00:00:00Z', 1, 10_000_000_000)
  expect((await billing.draft('ten_a', NOVEMBER))?.lines.at(-1)).toEqual({
    kind: 'adjustment',
    description: 'Usage of 2026-10 recorded after its invoice',
    month: '2026-10',
    amount_micros: 900_000,
  })
  clock.advance(30 * 86_400_000)
  await billing.closeMonth(NOVEMBER)
  expect((await issued('ten_a')).document.total).toBe('25.00')
  expect((await issued('ten_a', NOVEMBER)).document.total).toBe('25.90')
  clock.advance(31 * 86_400_000)
  await billing.closeMonth(parseMonth('2026-12'))
  expect((await issued('ten_a', parseMonth('2026-12'))).document.total).toBe('25.00')
})

test('an issued invoice is immutable; it is paid, voided and issued anew, or credited, and never deleted', async () => {
  await tellHistory('ten_a', [['pro', '2026-09-01T00:00:00Z', null]])
  await tellHistory('ten_free', [['free', '2026-09-01T00:00:00Z', null]])
  await billing.closeMonth(OCTOBER)
  expect((await issued('ten_free')).state).toBe('paid')
  const { invoiceId } = await issued('ten_a')
  await expect(client.query('update metering.invoices set total_micros = 1')).rejects.toThrow('immutable')
  await expect(client.query('delete from metering.invoices')).rejects.toThrow('never deleted')
  expect((await billing.void(invoiceId, 'wrong address')).state).toBe('void')
  await expect(billing.pay(invoiceId, null)).rejects.toMatchObject({ code: 'invoice_void' })
  expect((await billing.closeMonth(OCTOBER)).closed).toBe(1)
  const again = await issued('ten_a')
  expect(again.document.number).toBe('2026-000003')
  expect((await billing.pay(again.invoiceId, 'bank transfer')).state).toBe('paid')
  await expect(billing.void(again.invoiceId, 'too late')).rejects.toMatchObject({ code: 'invoice_paid' })
  const credit = await billing.credit(again.invoiceId, 10_000_000, 'Downtime of 3 October')
  expect(credit.document).toMatchObject({
    kind: 'credit_note',
    number: 'CN-2026-000001',
    corrects: '2026-000003',
    total: '-10.00',
  })
  await expect(billing.credit(again.invoiceId, 20_000_000, 'too much')).rejects.toMatchObject({
    code: 'credit_exceeds_invoice',
  })
  expect((await billing.credit(again.invoiceId, undefined, 'the rest')).document.total).toBe('-15.00')
})

test('a credit lowers the next invoices until it is used up, once however often it is told; a void invoice gives it back', async () => {
  await tellHistory('ten_a', [['pro', '2026-09-01T00:00:00Z', null]])
  const add = (key: string, amount_micros: number, reason = 'SLA of 2026-10') =>
    addCredit(ledger.pool, 'ten_a', key, { reason, amount_micros }, 10_000, new Date(clock.nowMs()))
  const told = await Promise.all(Array.from({ length: 5 }, () => add('sla:2026-10', 30_001_000)))
  expect(told.filter(({ isNew }) => isNew)).toHaveLength(1)
  await expect(add('sla:2026-10', 31_000_000)).rejects.toMatchObject({ code: 'credit_exists' })
  await expect(add('tiny', 4_999)).rejects.toMatchObject({ code: 'credit_too_small' })
  expect(await billing.draft('ten_a', NOVEMBER)).toMatchObject({ total: '0.00' })
  await Promise.all([OCTOBER, parseMonth('2026-09')].map((month) => makeBilling().closeMonth(month)))
  const october = await issued('ten_a')
  const september = await issued('ten_a', parseMonth('2026-09'))
  const credited = [october, september].flatMap(({ document }) =>
    document.lines.filter(({ kind }) => kind === 'credit'),
  )
  expect(credited.map((line) => line.amount_micros).toSorted()).toEqual([-25_000_000, -5_000_000])
  expect(credited[0]).toMatchObject({ key: 'sla:2026-10', description: 'SLA of 2026-10' })
  expect([october.state, september.state].toSorted()).toEqual(['issued', 'paid'])
  const owed = october.state === 'issued' ? october : september
  await billing.void(owed.invoiceId, 'wrong address')
  expect(await listCredits(ledger.pool, 'ten_a')).toMatchObject([
    { amount_micros: 30_000_000, used_micros: 25_000_000 },
  ])
  expect((await billing.draft('ten_a', NOVEMBER))?.total).toBe('20.00')
  const period = { fromMs: Date.UTC(2026, 8, 1), untilMs: Date.UTC(2026, 11, 1) }
  expect((await reconcile(ledger.pool, period, [])).filter((finding) => finding.difference !== undefined)).toEqual([])
})

test('credits never take more than is owed, nor more than they are', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1_000)), fc.nat(3_000), (amounts, owed) => {
      const credits = amounts.map((leftMicros, i) => ({ tenantId: 't', key: `${i}`, reason: 'r', leftMicros }))
      const lines = takeCredits(credits, owed)
      const taken = lines.reduce((sum, line) => sum - line.amount_micros, 0)
      expect(taken).toBe(
        Math.min(
          owed,
          amounts.reduce((sum, amount) => sum + amount, 0),
        ),
      )
      for (const line of lines) expect(-line.amount_micros).toBeLessThanOrEqual(amounts[Number(line.key)] ?? 0)
    }),
  )
})

test('tenants that cannot be billed are named, and hold up nobody else', async () => {
  await tellHistory('ten_a', [['pro', '2026-09-01T00:00:00Z', null]])
  await tellHistory('ten_lost', [['no-such-plan', '2026-09-01T00:00:00Z', null]])
  await use('ten_stranger', '2026-10-05T00:00:00Z', 1)
  const result = await billing.closeMonth(OCTOBER)
  expect(result.closed).toBe(1)
  expect(result.failed.map((one) => [one.tenant_id, one.code])).toEqual([
    ['ten_stranger', 'no_plan_history'],
    ['ten_lost', 'unknown_plan'],
  ])
})

test('an older plan history never replaces a newer one', async () => {
  expect(await tellHistory('ten_a', [['pro', '2026-09-01T00:00:00Z', null]], 5)).toBe(true)
  expect(await tellHistory('ten_a', [['free', '2026-09-01T00:00:00Z', null]], 4)).toBe(false)
  expect((await billing.draft('ten_a', OCTOBER))?.total).toBe('25.00')
})

test('each spend limit is reached once a month, whoever looks', async () => {
  clock = new ManualClock(Date.UTC(2026, 10, 20))
  billing = makeBilling()
  await tellHistory('ten_a', [['pro', '2026-09-01T00:00:00Z', null]])
  const watches = [1, 2].map(() => new SpendWatch({ pool: ledger.pool, billing, clock }))
  const [watch] = watches
  if (watch === undefined) throw new Error('unreachable')
  await watch.saveLimits('ten_a', { alerts_micros: [20_000_000, 26_000_000], cap_micros: 27_000_000 })
  const made = (await Promise.all(watches.map((one) => one.look()))).flat()
  expect(made).toMatchObject([
    { tenant_id: 'ten_a', month: '2026-11', kind: 'alert', amount_micros: 20_000_000, total_micros: 25_000_000 },
  ])
  expect(await watch.readSpend('ten_a')).toMatchObject({ total: '25.00', cap_reached: false })
  await use('ten_a', '2026-11-05T00:00:00Z', 1, 80_000_000_000)
  expect((await watch.look()).map((event) => [event.kind, event.amount_micros])).toEqual([
    ['alert', 26_000_000],
    ['cap', 27_000_000],
  ])
  expect(await watch.look()).toEqual([])
  expect(await watch.readSpend('ten_a')).toMatchObject({ total: '27.70', cap_reached: true })
  expect((await watch.readEvents(made[0]?.event_id ?? 0, 10)).map((event) => event.kind)).toEqual(['alert', 'cap'])
})

test('taxes are lines of their own, in the total', async () => {
  billing = makeBilling(({ subtotal_micros }) => [
    { description: 'VAT 20 %', rate: 0.2, amount_micros: subtotal_micros / 5 },
  ])
  await tellHistory('ten_a', [['pro', '2026-09-01T00:00:00Z', null]])
  expect(await billing.draft('ten_a', OCTOBER)).toMatchObject({
    subtotal_micros: 25_000_000,
    tax_micros: 5_000_000,
    total: '30.00',
  })
})

test('the routes give invoices as JSON, CSV and PDF, lists by cursor, and estimates for every plan', async () => {
  const app = new Hono<{ Variables: ServiceVariables }>()
  const pdf = new PdfRenderer()
  app.use(requestIdMiddleware(quiet))
  renderProblems(app)
  app.route(
    '/',
    billingRoutes({
      pool: ledger.pool,
      billing,
      spend: new SpendWatch({ pool: ledger.pool, billing, clock }),
      pdf,
      catalogue,
      clock,
    }),
  )
  const send = (method: string, path: string, body?: unknown) =>
    app.request(path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  const history = {
    name: 'acme',
    version: 3,
    segments: [{ plan: 'pro', isolation: 'database', from: '2026-09-01T00:00:00Z', until: null }],
  }
  const customer = { name: '=HYPERLINK("http://evil")', address: ['東京都', 'قاعدة البيانات'], tax_id: 'DE 1' }
  expect(await (await send('PUT', '/tenants/ten_a/plan-history', history)).json()).toEqual({ saved: true })
  expect(await (await send('GET', '/tenants/ten_a/customer')).json()).toMatchObject({ name: null, address: [] })
  expect((await send('PUT', '/tenants/ten_a/customer', { ...customer, email: 'no address' })).status).toBe(400)
  expect((await send('PUT', '/tenants/ten_a/customer', customer)).status).toBe(200)
  expect(await (await send('GET', '/tenants/ten_a/customer')).json()).toMatchObject({ ...customer, email: null })
  expect(await (await send('PUT', '/tenants/ten_a/plan-history', history)).json()).toEqual({ saved: true })
  const twisted = { ...history, segments: [...history.segments, ...history.segments] }
  expect((await send('PUT', '/tenants/ten_a/plan-history', twisted)).status).toBe(400)
  const draft = await send('GET', '/tenants/ten_a/invoices/2026-11')
  expect(await draft.json()).toMatchObject({ state: 'draft', number: null, total: '40.00' })
  expect(await (await send('POST', '/invoices/close?month=2026-10')).json()).toEqual({
    month: '2026-10',
    closed: 1,
    failed: [],
  })
  const made = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const invoice_id = (await issued('ten_a')).invoiceId
      return (
        await send('POST', `/invoices/${invoice_id}/credit-notes`, { amount_micros: 10_000, key: 'k' })
      ).json() as Promise<InvoiceView>
    }),
  )
  expect(new Set(made.map((note) => note.number))).toEqual(new Set(['CN-2026-000001']))
  const creditNote = await send('GET', `/invoices/${made[0]?.invoice_id}?format=pdf`)
  expect(creditNote.headers.get('content-disposition')).toContain('CN-2026-000001.pdf')
  const listed = async (query: string) =>
    ((await (await send('GET', `/invoices?${query}`)).json()) as { data: unknown[] }).data
  expect(await listed('month=2026-10&kind=invoice')).toMatchObject([{ state: 'issued', tenant_id: 'ten_a' }])
  expect(await listed('state=void')).toEqual([])
  expect((await send('GET', '/invoices?state=odd')).status).toBe(400)
  const csv = await send('GET', '/tenants/ten_a/invoices/2026-10?format=csv')
  expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8')
  const bytes = new Uint8Array(await csv.arrayBuffer())
  expect([...bytes.slice(0, 3)]).toEqual([0xef, 0xbb, 0xbf])
  const lines = new TextDecoder().decode(bytes).trimEnd().split('\r\n')
  expect(lines).toHaveLength(3)
  expect(lines[1]).toContain(`"'=HYPERLINK(""http://evil"")"`)
  const document = await app.request('/tenants/ten_a/invoices/2026-10', { headers: { accept: 'application/pdf' } })
  expect(document.headers.get('content-type')).toBe('application/pdf')
  expect(Buffer.from(await document.arrayBuffer()).toString('latin1', 0, 5)).toBe('%PDF-')
  const list = (await (await send('GET', '/tenants/ten_a/invoices?kind=invoice&limit=1')).json()) as Record<
    string,
    unknown
  >
  expect(list.data).toMatchObject([
    { month: '2026-11', state: 'draft' },
    { month: '2026-10', state: 'issued', number: '2026-000001' },
  ])
  const rest = await (
    await send('GET', `/tenants/ten_a/invoices?kind=invoice&limit=1&cursor=${list.next_cursor}`)
  ).json()
  expect(rest).toEqual({ data: [], next_cursor: null })
  expect((await send('GET', '/tenants/ten_b/invoices/2026-10')).status).toBe(404)
  const prices = await (
    await send('POST', '/pricing/estimate', { usage: { api_requests: 1_500_000 }, isolation: 'database' })
  ).json()
  expect(prices).toMatchObject({
    currency: 'USD',
    data: [
      { plan: 'free', offers_isolation: false, exceeded_quotas: ['api_requests_per_month'], total: '0.00' },
      { plan: 'pro', offers_isolation: true, exceeded_quotas: ['api_requests_per_month'], total: '52.08' },
      { plan: 'enterprise', offers_isolation: true, exceeded_quotas: [], total: '614.00' },
    ],
  })
  await pdf.close()
})

test('no text in a CSV runs as a formula, and a PDF, JSON or CSV is chosen by what is asked for', () => {
  for (const evil of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', ' =1', '＝1'])
    expect(text(evil).replace(/^"/, '')).toMatch(/^'/)
  expect(text('plain, "quoted"')).toBe('"plain, ""quoted"""')
  const accept = (value: string) => readFormat(undefined, value)
  expect([accept('*/*'), accept('text/csv;q=0.5, application/pdf'), accept('text/*')]).toEqual(['json', 'pdf', 'csv'])
  expect(() => accept('image/png')).toThrow()
})

test('negative amounts stay numbers in a CSV', async () => {
  await tellHistory('ten_a', [['pro', '2026-09-01T00:00:00Z', null]])
  const draft = await billing.draft('ten_a', OCTOBER)
  if (draft === undefined) throw new Error('no draft')
  const line = { kind: 'credit' as const, description: '-dash', amount_micros: -1_230_000 }
  const csv = toCsv(viewDraft({ ...draft, lines: [line] }))
  expect(csv).toContain(",'-dash,,,,,,,-1.23,USD,")
})
