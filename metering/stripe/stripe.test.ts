import { Hono } from 'hono'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../../runtime/clock.ts'
import { renderProblems, requestIdMiddleware, type ServiceVariables } from '../../runtime/hono-service.ts'
import { loadPlanCatalogue } from '../../tenancy/plan.ts'
import { Billing } from '../billing.ts'
import { saveCustomer } from '../customer.ts'
import { DEFAULT_SELLER, noTax } from '../invoice-document.ts'
import { saveHistory } from '../invoice-store.ts'
import { parseMonth } from '../month.ts'
import { FakeStripe } from '../testing/fake-stripe.ts'
import { openLedger, quiet } from '../testing/harness.ts'
import { StripeMeters } from './stripe-meters.ts'
import { findProblems } from './stripe-store.ts'
import { StripeSync } from './stripe-sync.ts'
import { makeStripe, stripeWebhookRoutes } from './stripe-webhook.ts'

const OCTOBER = parseMonth('2026-10')
let ledger: Awaited<ReturnType<typeof openLedger>>
let fake: FakeStripe
let clock: ManualClock
let billing: Billing
let sync: StripeSync
let stripe: ReturnType<typeof makeStripe>

beforeAll(async () => {
  ledger = await openLedger()
})
afterAll(async () => {
  await ledger.close()
})
beforeEach(async () => {
  const { pool } = ledger
  await pool.query(
    'truncate metering.invoices, metering.billed_months, metering.billed_tenants, metering.stripe_invoices, metering.stripe_customers, metering.stripe_meter_events, metering.daily_totals, metering.credit_uses',
  )
  fake = new FakeStripe()
  stripe = makeStripe('sk_test_fake', await fake.start())
  // Stripe's own clock does not matter; ours has to be past the claims that the database dates.
  clock = new ManualClock(Date.now())
  billing = new Billing({ pool, catalogue: loadPlanCatalogue(), seller: DEFAULT_SELLER, tax: noTax, clock })
  sync = new StripeSync({ stripe, pool, clock, log: quiet })
  for (const [tenantId, plan] of [
    ['ten_a', 'pro'],
    ['ten_free', 'free'],
  ] as const)
    await saveHistory(pool, tenantId, {
      name: tenantId,
      version: 1,
      segments: [{ plan, isolation: 'database', from: '2026-09-01T00:00:00Z', until: null }],
    })
  await saveCustomer(pool, 'ten_a', { name: 'Größe & Söhne', address: [], email: 'pay@example.com', tax_id: null })
  await billing.closeMonth(OCTOBER)
})
afterEach(async () => {
  await fake.stop()
})

async function theInvoice() {
  const invoice = await billing.find('ten_a', OCTOBER)
  if (invoice === undefined) throw new Error('no invoice')
  return invoice
}

test('an issued invoice stands in Stripe with its lines, total and number; one that owes nothing does not', async () => {
  expect(await sync.push()).toBe(1)
  const { invoiceId, document } = await theInvoice()
  expect([...fake.invoices.values()]).toMatchObject([
    { status: 'open', total: 4_000, number: document.number, metadata: { aerodb_invoice_id: invoiceId } },
  ])
  expect(fake.lines.map((line) => line.amount)).toEqual([2_500, 1_500])
  expect([...fake.customers.values()]).toMatchObject([
    { name: 'Größe & Söhne', metadata: { aerodb_tenant_id: 'ten_a' } },
  ])
  expect(await sync.push()).toBe(0)
  expect(await findProblems(ledger.pool)).toEqual([])
})

test('broken off after any call, and tried again after Stripe forgot its idempotency keys: nothing is there twice', async () => {
  // Customer, invoice, two lines, finalisation: each attempt gets one call further, and hears nothing of it.
  fake.breakAfter = 0
  for (let attempt = 0; attempt < 5; attempt++) {
    expect(await sync.push()).toBe(0)
    fake.forgetIdempotencyKeys()
    clock.advance(24 * 3_600_000)
  }
  fake.breakAfter = Number.POSITIVE_INFINITY
  expect(await sync.push()).toBe(1)
  expect(fake.customers.size).toBe(1)
  expect(fake.invoices.size).toBe(1)
  expect(fake.lines.map((line) => line.amount)).toEqual([2_500, 1_500])
  expect([...fake.invoices.values()]).toMatchObject([{ status: 'open', total: 4_000 }])
})

test('a total that differs in Stripe is not sent to the customer, and is reported', async () => {
  fake.breakAfter = 2
  await sync.push()
  for (const invoice of fake.invoices.values()) invoice.total += 1
  fake.breakAfter = Number.POSITIVE_INFINITY
  clock.advance(3_600_000)
  expect(await sync.push()).toBe(0)
  expect([...fake.invoices.values()]).toMatchObject([{ status: 'draft' }])
  expect(await findProblems(ledger.pool)).toMatchObject([{ state: 'failed' }])
})

test('paid by other means here, it is paid there; voided before Stripe heard of it, Stripe never does', async () => {
  await sync.push()
  await billing.pay((await theInvoice()).invoiceId, 'bank transfer')
  clock.advance(60_000)
  expect(await sync.push()).toBe(1)
  expect([...fake.invoices.values()]).toMatchObject([{ status: 'paid' }])
  expect(await sync.push()).toBe(0)
})

test('a credit note lowers what is open in Stripe, or goes to the balance of who has paid; once, whatever broke off', async () => {
  const { invoiceId } = await theInvoice()
  // Before Stripe has the invoice it waits.
  await billing.credit(invoiceId, 5_000_000, 'Outage', 'sla-2026-10')
  await sync.push()
  expect(await sync.push()).toBe(1)
  expect(fake.creditNotes).toMatchObject([{ total: 500, toBalance: 0, invoice: [...fake.invoices.keys()][0] }])
  await billing.pay(invoiceId, 'bank transfer')
  await sync.push()
  await billing.credit(invoiceId, 1_000_000, 'Goodwill')
  fake.breakAfter = 0
  expect(await sync.push()).toBe(0)
  fake.forgetIdempotencyKeys()
  fake.breakAfter = Number.POSITIVE_INFINITY
  clock.advance(24 * 3_600_000)
  expect(await sync.push()).toBe(1)
  expect(fake.creditNotes).toMatchObject([{ total: 500 }, { total: 100, toBalance: 100 }])
  expect(await sync.push()).toBe(0)
})

test('a webhook pays the invoice: with a valid signature only, and as often as Stripe repeats it', async () => {
  const webhookSecret = 'whsec_test'
  const app = new Hono<{ Variables: ServiceVariables }>()
  app.use(requestIdMiddleware(quiet))
  renderProblems(app)
  app.route('/', stripeWebhookRoutes({ stripe, billing, webhookSecret, clock }))
  const { invoiceId } = await theInvoice()
  const payload = JSON.stringify({
    id: 'evt_1',
    object: 'event',
    type: 'invoice.paid',
    data: { object: { id: 'in_1', object: 'invoice', metadata: { aerodb_invoice_id: invoiceId } } },
  })
  const send = (signature: string, body = payload) =>
    app.request('/stripe/webhook', { method: 'POST', body, headers: { 'stripe-signature': signature } })
  const timestamp = Math.floor(clock.nowMs() / 1_000)
  const sign = (at: number) =>
    stripe.webhooks.generateTestHeaderString({ payload, secret: webhookSecret, timestamp: at })
  expect((await send('t=1,v1=00')).status).toBe(400)
  expect((await send(sign(timestamp), `${payload} `)).status).toBe(400)
  expect((await send(sign(timestamp - 3_600))).status).toBe(400)
  expect((await theInvoice()).state).toBe('issued')
  for (let i = 0; i < 2; i++)
    expect(await (await send(sign(timestamp))).json()).toEqual({ received: true, applied: true })
  expect(await theInvoice()).toMatchObject({ state: 'paid', note: 'Stripe in_1' })
})

test('usage is reported to meters once, also when an answer was lost for longer than Stripe remembers, and late usage on top', async () => {
  const { pool } = ledger
  await sync.push()
  const [customer] = fake.customers.keys()
  const day = new Date(clock.nowMs() - 2 * 86_400_000).toISOString().slice(0, 10)
  await pool.query(
    `insert into metering.daily_totals (tenant_id, day, requests) values ('ten_a', $1, 1000), ('ten_b', $1, 5)`,
    [day],
  )
  const meters = new StripeMeters({ stripe, pool, clock, log: quiet, names: { api_requests: 'requests' } })
  fake.breakAfter = 0
  expect(await meters.push()).toBe(0)
  clock.advance(600_000)
  expect(await meters.push()).toBe(0)
  fake.breakAfter = Number.POSITIVE_INFINITY
  clock.advance(30 * 3_600_000)
  fake.forgetIdempotencyKeys()
  expect(await meters.push()).toBe(0)
  expect([...fake.usage]).toEqual([[`${customer} requests`, 1_000]])
  await pool.query(`update metering.daily_totals set requests = 1007 where tenant_id = 'ten_a'`)
  expect(await meters.push()).toBe(1)
  expect(await meters.push()).toBe(0)
  expect([...fake.usage]).toEqual([[`${customer} requests`, 1_007]])
})
