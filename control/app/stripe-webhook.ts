import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { Problem } from '../../runtime/problem.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { json, problems } from './responses.ts'
import { validationHook } from './validation.ts'

/** An event holds an invoice with its lines. */
const MAX_BODY_BYTES = 1_000_000

const webhookRoute = createRoute({
  method: 'post',
  path: '/v1/stripe/webhook',
  summary: 'Where Stripe tells of invoices that were paid or voided there',
  description: 'Let in by its `Stripe-Signature` alone; 404 where Stripe is not set up.',
  request: { headers: z.object({ 'stripe-signature': z.string().max(4_096) }) },
  responses: {
    200: json(z.looseObject({ received: z.boolean(), applied: z.boolean() }), 'Taken in, now or before.'),
    ...problems(400, 404, 413, 503),
  },
})

/** `POST /v1/stripe/webhook`: the body goes on to metering byte for byte, which verifies its signature. */
export function stripeWebhookRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi(webhookRoute, async (c) => {
    const { 'stripe-signature': signature } = c.req.valid('header')
    const body = await readBounded(c.req.raw)
    const answer = await services.metering.forwardStripeEvent(body, signature)
    return c.json(answer.body as { received: boolean; applied: boolean }, 200)
  })
  return app
}

/** Nobody has proved anything yet, so no more is taken into memory than an event may have. @throws Problem 413. */
async function readBounded(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of request.body ?? []) {
    bytes += part.length
    if (bytes > MAX_BODY_BYTES)
      throw new Problem(413, 'body_too_large', { detail: `An event has at most ${MAX_BODY_BYTES} bytes.` })
    parts.push(part)
  }
  return Buffer.concat(parts)
}
