import { Hono } from 'hono'
import Stripe from 'stripe'
import type { Clock } from '../../runtime/clock.ts'
import type { ServiceVariables } from '../../runtime/hono-service.ts'
import { Problem } from '../../runtime/problem.ts'
import type { Billing } from '../billing.ts'
import { INVOICE_METADATA } from './stripe-invoice.ts'

const TOLERANCE_SECONDS = 300
const MAX_BODY_BYTES = 1_000_000

/**
 * What Stripe tells us: `POST /stripe/webhook`, the raw body with its `Stripe-Signature`. The signature is all that lets it in
 * besides the service token of whoever passes it on. Stripe repeats and reorders: each event leads to a state, not a step.
 */
export function stripeWebhookRoutes(options: {
  stripe: Stripe
  billing: Billing
  webhookSecret: string
  clock: Clock
}): Hono<{ Variables: ServiceVariables }> {
  const { stripe, billing, webhookSecret, clock } = options
  const app = new Hono<{ Variables: ServiceVariables }>()
  app.post('/stripe/webhook', async (c) => {
    const body = await c.req.text()
    if (body.length > MAX_BODY_BYTES) throw new Problem(413, 'body_too_large')
    let event: Stripe.Event
    try {
      event = await stripe.webhooks.constructEventAsync(
        body,
        c.req.header('stripe-signature') ?? '',
        webhookSecret,
        TOLERANCE_SECONDS,
        undefined,
        clock.nowMs(),
      )
    } catch (fault) {
      throw new Problem(400, 'invalid_signature', { detail: 'The signature does not fit.', cause: fault })
    }
    const known = await applyEvent(billing, event).catch((fault: unknown) => {
      // What cannot be done any more (void after paid) is not to be repeated by Stripe for days.
      if (fault instanceof Problem && fault.status < 500) return false
      throw fault
    })
    return c.json({ received: true, applied: known })
  })
  return app
}

async function applyEvent(billing: Billing, event: Stripe.Event): Promise<boolean> {
  if (event.type !== 'invoice.paid' && event.type !== 'invoice.voided') return false
  const invoice = event.data.object
  const invoiceId = invoice.metadata?.[INVOICE_METADATA]
  if (invoiceId === undefined) return false
  if (event.type === 'invoice.paid') await billing.pay(invoiceId, `Stripe ${invoice.id ?? ''}`)
  else await billing.void(invoiceId, `Voided in Stripe (${invoice.id ?? ''})`)
  return true
}

/** The client of Stripe's API. `apiBase` is for tests (`http://127.0.0.1:port`). */
export function makeStripe(secretKey: string, apiBase?: string): Stripe {
  const base = apiBase === undefined ? undefined : new URL(apiBase)
  return new Stripe(secretKey, {
    maxNetworkRetries: 2,
    timeout: 20_000,
    telemetry: false,
    appInfo: { name: 'AeroDB Managed Hosting' },
    ...(base === undefined
      ? {}
      : { host: base.hostname, port: Number(base.port), protocol: base.protocol === 'https:' ? 'https' : 'http' }),
  })
}
