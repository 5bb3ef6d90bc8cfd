import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { tenantExisted } from '../stores/tenant-store.ts'
import { allow, notFound } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { mutate } from './mutation.ts'
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
const looseSchema = z.looseObject({})
const monthSchema = z.string().regex(/^\d{4}-(?:0[1-9]|1[0-2])$/, 'must be a month: YYYY-MM')
const invoiceId = z.object({ invoice_id: z.string().regex(/^[\w-]{1,64}$/) })

const invoicesRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/invoices',
  summary: 'List the invoices of a tenant, drafts first',
  security: BEARER,
  request: { params: tenantIdParamSchema, query: pageQuerySchema },
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
    query: z.object({ format: z.enum(['json', 'csv', 'pdf']).optional() }),
  },
  responses: {
    200: {
      description: 'The invoice; of an open month a draft.',
      content: {
        'application/json': { schema: invoiceSchema },
        'text/csv': { schema: z.string() },
        'application/pdf': { schema: z.string().openapi({ format: 'binary' }) },
      },
    },
    ...problems(400, 401, 404, 503),
  },
})
const estimateRoute = createRoute({
  method: 'post',
  path: '/v1/pricing/estimate',
  summary: 'What a usage would cost on each plan',
  security: BEARER,
  request: { body: jsonBody(looseSchema) },
  responses: { 200: json(looseSchema, 'The estimate.'), ...problems(400, 401, 415, 503) },
})
const closeRoute = createRoute({
  method: 'post',
  path: '/v1/invoices/close',
  summary: 'Close a month for all tenants; rerunnable',
  security: BEARER,
  request: { query: z.object({ month: monthSchema.optional() }) },
  responses: { 200: json(looseSchema, 'What was closed.'), ...problems(400, 401, 403, 404, 409, 422, 503) },
})
const settleRoute = createRoute({
  method: 'post',
  path: '/v1/invoices/{invoice_id}/{act}',
  summary: 'Mark an invoice as paid or void, or correct it by a credit note',
  security: BEARER,
  request: {
    params: invoiceId.extend({ act: z.enum(['pay', 'void', 'credit-notes']) }),
    body: jsonBody(looseSchema),
  },
  responses: {
    200: json(invoiceSchema, 'The invoice.'),
    201: json(invoiceSchema, 'The credit note.'),
    ...problems(400, 401, 403, 404, 409, 415, 422, 503),
  },
})
const spendRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/spend',
  summary: 'What the tenant has spent this month, and its limits',
  security: BEARER,
  request: { params: tenantIdParamSchema },
  responses: { 200: json(looseSchema, 'The spend.'), ...problems(401, 404, 503) },
})
const limitsRoute = createRoute({
  method: 'put',
  path: '/v1/tenants/{tenant_id}/spend-limits',
  summary: 'Set amounts to be told of, and a cap that suspends the tenant',
  security: BEARER,
  request: { params: tenantIdParamSchema, body: jsonBody(looseSchema) },
  responses: { 200: json(looseSchema, 'The spend with its limits.'), ...problems(400, 401, 403, 404, 415, 503) },
})

const creditSchema = z
  .object({
    tenant_id: z.string(),
    key: z.string(),
    reason: z.string(),
    amount_micros: z.number().int(),
    used_micros: z.number().int(),
    created_at: z.string(),
  })
  .openapi('Credit')
const creditsRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/credits',
  summary: 'What the tenant is given back by its coming invoices, and how much of it is used',
  security: BEARER,
  request: { params: tenantIdParamSchema },
  responses: {
    200: json(z.object({ data: z.array(creditSchema), next_cursor: z.null() }), 'All credits, the oldest first.'),
    ...problems(401, 404, 503),
  },
})
const creditRoute = createRoute({
  method: 'put',
  path: '/v1/tenants/{tenant_id}/credits/{key}',
  summary: "Give something back by the tenant's next invoice, once for one key",
  description:
    'An invoice never falls below nothing: what is left waits for the next one. Amounts are rounded half up to the minor unit.',
  security: BEARER,
  request: {
    params: tenantIdParamSchema.extend({ key: z.string().regex(/^[\w.:-]{1,100}$/) }),
    body: jsonBody(z.strictObject({ reason: z.string().min(1).max(300), amount_micros: z.number().int().positive() })),
  },
  responses: {
    200: json(creditSchema, 'It was there already.'),
    201: json(creditSchema, 'The credit.'),
    ...problems(400, 401, 403, 404, 409, 415, 422, 503),
  },
})

/** Invoices and prices: metering's, behind the platform key and its roles. */
export function billingRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  const { metering } = services
  const requireKnown = async (tenantId: string) => {
    if ((await tenantExisted(services.pool, tenantId)) === undefined) throw notFound()
  }
  /** Acts at metering first: only what it did is audited, and answered again under the same Idempotency-Key. */
  const act = async (
    c: Context<AppEnv>,
    method: 'POST' | 'PUT',
    path: string,
    action: string,
    target: string,
    body: unknown,
  ) => {
    const answer = await metering.send(method, path, body)
    await mutate(c, services, async () => ({
      status: answer.status,
      body: answer.body,
      audit: { action, target, before: null, after: body ?? null },
    }))
    return answer
  }

  app.openapi({ ...invoicesRoute, middleware: allow('invoices', 'see') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    const { limit, cursor } = c.req.valid('query')
    await requireKnown(tenant_id)
    const query = new URLSearchParams({ limit: String(limit), ...(cursor === undefined ? {} : { cursor }) })
    const { body } = await metering.send('GET', `/internal/v1/tenants/${tenant_id}/invoices?${query}`)
    return c.json(body as { data: z.output<typeof invoiceSchema>[]; next_cursor: string | null }, 200)
  })

  app.openapi({ ...invoiceRoute, middleware: allow('invoices', 'see') }, async (c) => {
    const { tenant_id, month } = c.req.valid('param')
    const { format } = c.req.valid('query')
    await requireKnown(tenant_id)
    const query = format === undefined ? '' : `?format=${format}`
    return metering.fetchDocument(
      `/internal/v1/tenants/${tenant_id}/invoices/${month}${query}`,
      c.req.header('accept') ?? '*/*',
      c.var.requestId,
    ) as never
  })

  app.openapi({ ...estimateRoute, middleware: allow('plans', 'see') }, async (c) => {
    const { body } = await metering.send('POST', '/internal/v1/pricing/estimate', c.req.valid('json'))
    return c.json(body, 200)
  })

  app.openapi({ ...closeRoute, middleware: allow('invoices', 'act') }, async (c) => {
    const { month } = c.req.valid('query')
    const path = `/internal/v1/invoices/close${month === undefined ? '' : `?month=${month}`}`
    const { body } = await act(c, 'POST', path, 'invoice.close', month ?? 'last month', undefined)
    return c.json(body, 200)
  })

  app.openapi({ ...settleRoute, middleware: allow('invoices', 'act') }, async (c) => {
    const { invoice_id, act: verb } = c.req.valid('param')
    const path = `/internal/v1/invoices/${invoice_id}/${verb}`
    const answer = await act(c, 'POST', path, `invoice.${verb}`, invoice_id, c.req.valid('json'))
    return c.json(answer.body as z.output<typeof invoiceSchema>, answer.status === 201 ? 201 : 200)
  })

  app.openapi({ ...spendRoute, middleware: allow('invoices', 'see') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    await requireKnown(tenant_id)
    return c.json((await metering.send('GET', `/internal/v1/tenants/${tenant_id}/spend`)).body, 200)
  })

  app.openapi({ ...limitsRoute, middleware: allow('invoices', 'act') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    await requireKnown(tenant_id)
    const path = `/internal/v1/tenants/${tenant_id}/spend-limits`
    const { body } = await act(c, 'PUT', path, 'spend_limits.set', tenant_id, c.req.valid('json'))
    return c.json(body, 200)
  })

  app.openapi({ ...creditsRoute, middleware: allow('invoices', 'see') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    await requireKnown(tenant_id)
    const { body } = await metering.send('GET', `/internal/v1/tenants/${tenant_id}/credits`)
    return c.json(body as { data: z.output<typeof creditSchema>[]; next_cursor: null }, 200)
  })

  app.openapi({ ...creditRoute, middleware: allow('invoices', 'act') }, async (c) => {
    const { tenant_id, key } = c.req.valid('param')
    await requireKnown(tenant_id)
    const path = `/internal/v1/tenants/${tenant_id}/credits/${key}`
    const answer = await act(c, 'PUT', path, 'credit.add', tenant_id, c.req.valid('json'))
    return c.json(answer.body as z.output<typeof creditSchema>, answer.status === 201 ? 201 : 200)
  })

  return app
}
