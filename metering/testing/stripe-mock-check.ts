// Checks every call of StripeSync against the real API's description: run Stripe's own mock (`stripe-mock`, a Go program) and
//   node metering/testing/stripe-mock-check.ts http://127.0.0.1:12111
// stripe-mock keeps nothing and answers with examples, so this proves the shape of the requests; `stripe.test.ts` proves the rest.
import { makeStripe } from '../stripe/stripe-webhook.ts'

const stripe = makeStripe('sk_test_123', process.argv[2] ?? 'http://127.0.0.1:12111')
const customer = await stripe.customers.create(
  { name: 'acme', metadata: { aerodb_tenant_id: 'ten_a' }, email: 'a@example.com' },
  { idempotencyKey: 'aerodb-customer-ten_a' },
)
await stripe.customers.search({ query: `metadata['aerodb_tenant_id']:'ten_a'`, limit: 1 })
const invoice = await stripe.invoices.create(
  {
    customer: customer.id,
    collection_method: 'send_invoice',
    days_until_due: 14,
    auto_advance: false,
    currency: 'usd',
    pending_invoice_items_behavior: 'exclude',
    description: 'Usage of 2026-11',
    metadata: { aerodb_invoice_id: 'inv_a' },
    number: '2026-000001',
  },
  { idempotencyKey: 'aerodb-invoice-inv_a' },
)
await stripe.invoices.search({ query: `metadata['aerodb_invoice_id']:'inv_a'`, limit: 1 })
await stripe.invoices.retrieve(invoice.id)
await stripe.invoices.listLineItems(invoice.id, { limit: 100 })
await stripe.invoiceItems.create({
  customer: customer.id,
  invoice: invoice.id,
  currency: 'usd',
  amount: 2_500,
  description: 'Pro plan',
  metadata: { aerodb_line: '0' },
})
await stripe.invoices.finalizeInvoice(invoice.id, { auto_advance: true })
await stripe.invoices.pay(invoice.id, { paid_out_of_band: true })
await stripe.invoices.voidInvoice(invoice.id, {})
await stripe.creditNotes.create({
  invoice: invoice.id,
  lines: [{ type: 'custom_line_item', description: 'Outage', quantity: 1, unit_amount: 500 }],
  credit_amount: 500,
  memo: 'CN-2026-000001',
  metadata: { aerodb_invoice_id: 'inv_b' },
})
await stripe.creditNotes.list({ invoice: invoice.id, limit: 100 })
await stripe.billing.meterEvents.create({
  event_name: 'aerodb_requests',
  identifier: 'aerodb-ten_a-2026-11-01-api_requests-1',
  timestamp: 1_793_534_400,
  payload: { stripe_customer_id: customer.id, value: '1000' },
})
for await (const meter of stripe.billing.meters.list({ limit: 100 })) {
  await stripe.billing.meters.listEventSummaries(meter.id, {
    customer: customer.id,
    start_time: 1_793_491_200,
    end_time: 1_793_577_600,
  })
  break
}
console.log('every call was accepted by stripe-mock')
