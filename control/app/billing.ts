import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { ISOLATIONS } from '../../tenancy/plan.ts'
import { allow } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { actAtMetering, queryOf, requireKnownTenant } from './metering-calls.ts'
import { BEARER, json, jsonBody, problems } from './responses.ts'
import { pageQuerySchema, tenantIdParamSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

/** What metering answers is passed on as it is; it is described here in outline. */
const invoiceSchema = z
  .looseObject({
    invoice_id: z.string().nullable(),
    number: z.string().nullable(),
    month: z.string(),
    state: z.enum(['draft', 'issued', 'paid', 'void']),
    currency: z.string(),
    total: z.string(),
    total_micros: z.number().int(),
  })
  .openapi('Invoice')
const lineSchema = z
  .looseObject({ kind: z.string(), description: z.string(), amount_micros: z.number().int() })
  .openapi('InvoiceLine')
const estimateAnswerSchema = z
  .object({
    currency: z.string(),
    isolation: z.enum(ISOLATIONS),
    data: z.array(
      z.object({
        plan: z.string(),
        title: z.string(),
        offers_isolation: z.boolean(),
        exceeded_quotas: z.array(z.string()),
        lines: z.array(lineSchema),
        total_micros: z.number().int(),
        total: z.string(),
      }),
    ),
  })
  .openapi('Estimate')
const closedSchema = z
  .object({
    month: z.string(),
    closed: z.number().int(),
    failed: z
      .array(z.object({ tenant_id: z.string(), code: z.string(), detail: z.string() }))
      .openapi({ description: 'Tenants that could not be invoiced: run it again once the reason is gone.' }),
  })
  .openapi('ClosedMonth')
const FORMATS = {
  'application/json': { schema: invoiceSchema },
  'text/csv': { schema: z.string() },
  'application/pdf': { schema: z.string().openapi({ format: 'binary' }) },
}
const formatQuery = z.object({ format: z.enum(['json', 'csv', 'pdf']).optional() })
const filterQuery = pageQuerySchema.extend({
  month: z
    .string()
    .regex(/^\d{4}-(?:0[1-9]|1[0-2])$/, 'must be a month: YYYY-MM')
    .optional(),
  state: z.enum(['draft', 'issued', 'paid', 'void']).optional(),
  kind: z.enum(['invoice', 'credit_note']).optional(),
})
export const monthSchema = z.string().regex(/^\d{4}-(?:0[1-9]|1[0-2])$/, 'must be a month: YYYY-MM')
const invoiceId = z.object({ invoice_id: z.string().regex(/^[\w-]{1,64}$/) })

const invoicesRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/invoices',
  summary: 'List the invoices of a tenant, drafts first',
  security: BEARER,
  request: { params: tenantIdParamSchema, query: filterQuery },
  responses: {
    200: json(
      z.looseObject({ data: z.array(invoiceSchema), next_cursor: z.string().nullable() }),
      'A page of invoices.',
    ),
    ...problems(400, 401, 404, 503),
  },
})
const invoiceRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/invoices/{month}',
  summary: 'The invoice of a month: JSON, CSV or PDF by `Accept` or `format`',
  security: BEARER,
  request: {
    params: tenantIdParamSchema.extend({ month: monthSchema }),
    query: formatQuery,
  },
  responses: {
    200: {
      description: 'The invoice; of an open month a draft.',
      content: FORMATS,
    },
    ...problems(400, 401, 404, 503),
  },
})
const allInvoicesRoute = createRoute({
  method: 'get',
  path: '/v1/invoices',
  summary: 'List the invoices and credit notes of all tenants, the newest first; drafts are not among them',
  security: BEARER,
  request: { query: filterQuery.extend({ tenant_id: z.string().max(64).optional() }) },
  responses: {
    200: json(z.object({ data: z.array(invoiceSchema), next_cursor: z.string().nullable() }), 'A page of invoices.'),
    ...problems(400, 401, 404, 503),
  },
})
const anyInvoiceRoute = createRoute({
  method: 'get',
  path: '/v1/invoices/{invoice_id}',
  summary: 'An invoice or credit note by its id: JSON, CSV or PDF by `Accept` or `format`',
  security: BEARER,
  request: { params: invoiceId, query: formatQuery },
  responses: { 200: { description: 'As it was issued.', content: FORMATS }, ...problems(400, 401, 404, 503) },
})
const amount = z.number().int().nonnegative()
const estimateSchema = z
  .strictObject({
    usage: z
      .strictObject({
        api_requests: amount,
        egress_bytes: amount,
        ingress_bytes: amount,
        storage_bytes: amount.openapi({
          description: 'Held on average; as are file_storage_bytes and realtime_connections.',
        }),
        file_storage_bytes: amount,
        realtime_messages: amount,
        realtime_connections: amount,
        compute_seconds: amount.openapi({ description: 'Of a server that never sleeps unless given.' }),
      })
      .partial()
      .optional(),
    isolation: z.enum(ISOLATIONS).optional(),
  })
  .openapi('EstimateRequest')
const estimateRoute = createRoute({
  method: 'post',
  path: '/v1/pricing/estimate',
  summary: 'What a usage would cost on each plan',
  description: 'Public, like the price list.',
  request: { body: jsonBody(estimateSchema) },
  responses: { 200: json(estimateAnswerSchema, 'The estimate, by plan.'), ...problems(400, 415, 503) },
})
const closeRoute = createRoute({
  method: 'post',
  path: '/v1/invoices/close',
  summary: 'Close a month for all tenants; rerunnable',
  security: BEARER,
  request: { query: z.object({ month: monthSchema.optional() }) },
  responses: { 200: json(closedSchema, 'What was closed.'), ...problems(400, 401, 403, 404, 409, 422, 503) },
})
const actSchema = z
  .strictObject({
    note: z.string().min(1).max(300).nullable().optional(),
    reason: z.string().min(1).max(300).nullable().optional(),
    amount_micros: z.number().int().positive().optional(),
  })
  .openapi('InvoiceAct', {
    description:
      '`pay`: a `note`. `void`: a `reason`. `credit-notes`: a `reason`, and `amount_micros` (all that is left without).',
  })
const settleRoute = createRoute({
  method: 'post',
  path: '/v1/invoices/{invoice_id}/{act}',
  summary: 'Mark an invoice as paid or void, or correct it by a credit note',
  security: BEARER,
  request: {
    params: invoiceId.extend({ act: z.enum(['pay', 'void', 'credit-notes']) }),
    body: { content: { 'application/json': { schema: actSchema } } },
  },
  responses: {
    200: json(invoiceSchema, 'The invoice.'),
    201: json(invoiceSchema, 'The credit note.'),
    ...problems(400, 401, 403, 404, 409, 415, 422, 503),
  },
})
/** Closing a month of many tenants is one call. */
const CLOSE_TIMEOUT_MS = 300_000

/** `/v1/pricing/estimate`, open to everyone. */
export function estimateRoutes({ metering }: Pick<AppServices, 'metering'>) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi(estimateRoute, async (c) => {
    const { body } = await metering.send('POST', '/internal/v1/pricing/estimate', c.req.valid('json'))
    return c.json(body as z.output<typeof estimateAnswerSchema>, 200)
  })
  return app
}

/** Invoices: metering's, behind the platform key and its roles. */
export function billingRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  const { metering } = services
  app.openapi({ ...invoicesRoute, middleware: allow('invoices', 'see') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    await requireKnownTenant(services, tenant_id)
    const { body } = await metering.send(
      'GET',
      `/internal/v1/tenants/${tenant_id}/invoices?${queryOf(c.req.valid('query'))}`,
    )
    return c.json(body as { data: z.output<typeof invoiceSchema>[]; next_cursor: string | null }, 200)
  })

  app.openapi({ ...invoiceRoute, middleware: allow('invoices', 'see') }, async (c) => {
    const { tenant_id, month } = c.req.valid('param')
    const { format } = c.req.valid('query')
    await requireKnownTenant(services, tenant_id)
    return metering.fetchDocument(
      `/internal/v1/tenants/${tenant_id}/invoices/${month}?${queryOf({ format })}`,
      c.req.header('accept') ?? '*/*',
      c.var.requestId,
    ) as never
  })

  app.openapi({ ...allInvoicesRoute, middleware: allow('invoices', 'see') }, async (c) => {
    const { body } = await metering.send('GET', `/internal/v1/invoices?${queryOf(c.req.valid('query'))}`)
    return c.json(body as { data: z.output<typeof invoiceSchema>[]; next_cursor: string | null }, 200)
  })

  app.openapi({ ...anyInvoiceRoute, middleware: allow('invoices', 'see') }, async (c) => {
    const { invoice_id } = c.req.valid('param')
    const path = `/internal/v1/invoices/${invoice_id}?${queryOf(c.req.valid('query'))}`
    return metering.fetchDocument(path, c.req.header('accept') ?? '*/*', c.var.requestId) as never
  })

  app.openapi({ ...closeRoute, middleware: allow('invoices', 'act') }, async (c) => {
    const { month } = c.req.valid('query')
    const path = `/internal/v1/invoices/close${month === undefined ? '' : `?month=${month}`}`
    const { body } = await actAtMetering(c, services, {
      method: 'POST',
      path,
      action: 'invoice.close',
      target: month ?? 'last month',
      timeoutMs: CLOSE_TIMEOUT_MS,
    })
    return c.json(body as z.output<typeof closedSchema>, 200)
  })

  app.openapi({ ...settleRoute, middleware: allow('invoices', 'act') }, async (c) => {
    const { invoice_id, act: verb } = c.req.valid('param')
    const path = `/internal/v1/invoices/${invoice_id}/${verb}`
    const ticket = c.var.idempotency
    // A credit note that was made and not heard of is found by this key, whoever of us died in between.
    const aside = verb === 'credit-notes' && ticket !== undefined ? { key: `${ticket.caller}:${ticket.key}` } : {}
    // No body is an empty one: what is paid need not be commented on.
    const body = { ...(c.req.valid('json') ?? {}) }
    const answer = await actAtMetering(c, services, {
      method: 'POST',
      path,
      action: `invoice.${verb}`,
      target: invoice_id,
      body,
      aside,
    })
    return c.json(answer.body as z.output<typeof invoiceSchema>, answer.status === 201 ? 201 : 200)
  })

  return app
}
