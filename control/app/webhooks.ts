import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { makeId } from '../../runtime/ids.ts'
import { EVENT_TYPES } from '../outreach/events.ts'
import { requireOutboundUrl } from '../outreach/outbound-url.ts'
import { makeWebhookSecret } from '../outreach/webhook-signature.ts'
import {
  type DeliveryRow,
  deleteWebhook,
  findWebhook,
  insertWebhook,
  listDeliveries,
  listWebhooks,
  type WebhookRow,
} from '../stores/webhook-store.ts'
import { allow, notFound } from './authentication.ts'
import { decodeCursor, makePage } from './cursor.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { mutate } from './mutation.ts'
import { BEARER, json, jsonBody, problems } from './responses.ts'
import { listOf, pageQuerySchema, timestampSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const webhookSchema = z
  .object({
    webhook_id: z.string(),
    url: z.string(),
    description: z.string().nullable(),
    events: z.array(z.string()).openapi({ description: 'Empty: all.' }),
    created_at: timestampSchema,
    disabled_at: timestampSchema.nullable(),
  })
  .openapi('Webhook')
const shownWebhookSchema = webhookSchema
  .extend({ secret: z.string() })
  .openapi('ShownWebhook', { description: 'With the signing secret, shown this once.' })
const createSchema = z
  .strictObject({
    url: z.string().max(2_048),
    description: z.string().max(200).nullable().optional(),
    events: z.array(z.enum(EVENT_TYPES)).max(EVENT_TYPES.length).optional(),
  })
  .openapi('CreateWebhook')
const deliverySchema = z
  .object({
    message_id: z.string(),
    type: z.string(),
    status: z.enum(['pending', 'delivered', 'failed']),
    attempts: z.number().int(),
    last_status: z.number().int().nullable(),
    last_error: z.string().nullable(),
    next_attempt_at: timestampSchema.nullable(),
    created_at: timestampSchema,
  })
  .openapi('WebhookDelivery')
const params = z.object({ webhook_id: z.string() })

const listRoute = createRoute({
  method: 'get',
  path: '/v1/webhooks',
  summary: 'List webhooks',
  security: BEARER,
  request: { query: pageQuerySchema },
  responses: { 200: json(listOf(webhookSchema), 'A page of webhooks.'), ...problems(400, 401, 404) },
})
const createWebhookRoute = createRoute({
  method: 'post',
  path: '/v1/webhooks',
  summary: 'Have events sent to a URL',
  description: 'Signed as Standard Webhooks 1.0.0; repeated with growing pauses until it answers 2xx.',
  security: BEARER,
  request: { body: jsonBody(createSchema) },
  responses: { 201: json(shownWebhookSchema, 'The webhook.'), ...problems(400, 401, 403, 404, 415, 422) },
})
const deleteRoute = createRoute({
  method: 'delete',
  path: '/v1/webhooks/{webhook_id}',
  summary: 'Remove a webhook',
  security: BEARER,
  request: { params },
  responses: { 204: { description: 'Nothing is sent to it any more.' }, ...problems(401, 403, 404) },
})
const deliveriesRoute = createRoute({
  method: 'get',
  path: '/v1/webhooks/{webhook_id}/deliveries',
  summary: 'The last deliveries of a webhook',
  security: BEARER,
  request: { params },
  responses: { 200: json(listOf(deliverySchema), 'At most 100, newest first.'), ...problems(401, 404) },
})

/** `/v1/webhooks` */
export function webhookRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })

  app.openapi({ ...listRoute, middleware: allow('webhooks', 'see') }, async (c) => {
    const { limit, cursor } = c.req.valid('query')
    const before = decodeCursor('webhooks', cursor)
    const rows = await listWebhooks(services.pool, { before, limit: limit + 1 })
    return c.json(
      makePage('webhooks', rows, limit, (row) => row.webhook_id, renderWebhook),
      200,
    )
  })

  app.openapi({ ...createWebhookRoute, middleware: allow('webhooks', 'act') }, async (c) => {
    const { url, description, events } = c.req.valid('json')
    const checked = await requireOutboundUrl(url, 'url', services.allowPrivateAddresses)
    const secret = makeWebhookSecret()
    const webhookId = makeId('wh')
    const { body } = await mutate(c, services, async (change) => {
      const row = await insertWebhook(change, {
        webhook_id: webhookId,
        url: checked.href,
        description: description ?? null,
        events: [...new Set(events)],
        sealed_secret: services.sealer.seal(secret, `webhook:${webhookId}`),
      })
      const shown = renderWebhook(row)
      return {
        status: 201 as const,
        body: { ...shown, secret },
        audit: { action: 'webhook.create', target: webhookId, before: null, after: shown },
      }
    })
    return c.json(body, 201)
  })

  app.openapi({ ...deleteRoute, middleware: allow('webhooks', 'act') }, async (c) => {
    const { webhook_id } = c.req.valid('param')
    await mutate(c, services, async (change) => {
      const row = await deleteWebhook(change, webhook_id)
      if (row === undefined) throw notFound()
      return {
        status: 204 as const,
        body: null,
        audit: { action: 'webhook.delete', target: webhook_id, before: renderWebhook(row), after: null },
      }
    })
    return c.body(null, 204)
  })

  app.openapi({ ...deliveriesRoute, middleware: allow('webhooks', 'see') }, async (c) => {
    const { webhook_id } = c.req.valid('param')
    if ((await findWebhook(services.pool, webhook_id)) === undefined) throw notFound()
    const rows = await listDeliveries(services.pool, webhook_id, 100)
    return c.json({ data: rows.map(renderDelivery), next_cursor: null }, 200)
  })

  return app
}

function renderWebhook(row: WebhookRow) {
  return {
    webhook_id: row.webhook_id,
    url: row.url,
    description: row.description,
    events: row.events,
    created_at: row.created_at.toISOString(),
    disabled_at: row.disabled_at?.toISOString() ?? null,
  }
}

function renderDelivery(row: DeliveryRow) {
  return {
    message_id: row.message_id,
    type: row.type,
    status: row.status,
    attempts: row.attempts,
    last_status: row.last_status,
    last_error: row.last_error,
    next_attempt_at: row.status === 'pending' ? row.next_attempt_at.toISOString() : null,
    created_at: row.created_at.toISOString(),
  }
}
