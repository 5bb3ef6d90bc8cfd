import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { allow } from './authentication.ts'
import { monthSchema } from './billing.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { actAtMetering, requireKnownTenant } from './metering-calls.ts'
import { BEARER, json, jsonBody, problems } from './responses.ts'
import { tenantIdParamSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const spendLimitsSchema = z
  .strictObject({
    alerts_micros: z.array(z.number().int().positive()).max(20).optional(),
    cap_micros: z.number().int().nonnegative().nullable().optional(),
  })
  .openapi('SpendLimits')
const spendSchema = z
  .looseObject({
    tenant_id: z.string(),
    month: z.string(),
    currency: z.string().nullable(),
    total_micros: z.number().int(),
    alerts_micros: z.array(z.number().int()),
    cap_micros: z.number().int().nullable(),
    cap_reached: z.boolean(),
  })
  .openapi('Spend')
const spendRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/spend',
  summary: 'What the tenant has spent this month, and its limits',
  security: BEARER,
  request: { params: tenantIdParamSchema },
  responses: { 200: json(spendSchema, 'The spend.'), ...problems(401, 404, 503) },
})
const limitsRoute = createRoute({
  method: 'put',
  path: '/v1/tenants/{tenant_id}/spend-limits',
  summary: 'Set amounts to be told of, and a cap that suspends the tenant',
  security: BEARER,
  request: { params: tenantIdParamSchema, body: jsonBody(spendLimitsSchema) },
  responses: { 200: json(spendSchema, 'The spend with its limits.'), ...problems(400, 401, 403, 404, 415, 503) },
})

const customerShape = {
  name: z.string().min(1).max(200),
  address: z.array(z.string().max(200)).max(8),
  email: z.email().max(200).nullable(),
  tax_id: z.string().max(50).nullable(),
}
const customerSchema = z
  .object({ tenant_id: z.string(), ...customerShape, name: customerShape.name.nullable() })
  .openapi('Customer')
const setCustomerSchema = z
  .strictObject({
    name: customerShape.name,
    address: customerShape.address.optional(),
    email: customerShape.email.optional(),
    tax_id: customerShape.tax_id.optional(),
  })
  .openapi('SetCustomer')
const customerRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/customer',
  summary: "Whom the tenant's invoices name",
  security: BEARER,
  request: { params: tenantIdParamSchema },
  responses: {
    200: json(customerSchema, 'As set; `name` is null while nothing is: invoices then name the tenant.'),
    ...problems(401, 404, 503),
  },
})
const setCustomerRoute = createRoute({
  method: 'put',
  path: '/v1/tenants/{tenant_id}/customer',
  summary: "Set whom the tenant's invoices name from now on: name, address, e-mail, tax id, in any language",
  security: BEARER,
  request: { params: tenantIdParamSchema, body: jsonBody(setCustomerSchema) },
  responses: { 200: json(customerSchema, 'As set.'), ...problems(400, 401, 403, 404, 415, 503) },
})
const ledgerRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/ledger',
  summary: "A month of the tenant's ledger as CSV, streamed: what its usage and invoices are sums of",
  security: BEARER,
  request: { params: tenantIdParamSchema, query: z.object({ month: monthSchema.optional() }) },
  responses: {
    200: {
      description: 'Row by row, the current month without `month`.',
      content: { 'text/csv': { schema: z.string() } },
    },
    ...problems(400, 401, 404, 503),
  },
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

/** What one tenant spends and is given back, whom its invoices name, and its ledger: metering's, behind the platform key. */
export function tenantBillingRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  const { metering } = services

  app.openapi({ ...spendRoute, middleware: allow('invoices', 'see') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    await requireKnownTenant(services, tenant_id)
    const { body } = await metering.send('GET', `/internal/v1/tenants/${tenant_id}/spend`)
    return c.json(body as z.output<typeof spendSchema>, 200)
  })

  app.openapi({ ...limitsRoute, middleware: allow('invoices', 'act') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    await requireKnownTenant(services, tenant_id)
    const path = `/internal/v1/tenants/${tenant_id}/spend-limits`
    const { body } = await actAtMetering(c, services, {
      method: 'PUT',
      path,
      action: 'spend_limits.set',
      target: tenant_id,
      body: c.req.valid('json'),
    })
    return c.json(body as z.output<typeof spendSchema>, 200)
  })

  app.openapi({ ...customerRoute, middleware: allow('invoices', 'see') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    await requireKnownTenant(services, tenant_id)
    const { body } = await metering.send('GET', `/internal/v1/tenants/${tenant_id}/customer`)
    return c.json(body as z.output<typeof customerSchema>, 200)
  })

  app.openapi({ ...setCustomerRoute, middleware: allow('invoices', 'act') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    await requireKnownTenant(services, tenant_id)
    const path = `/internal/v1/tenants/${tenant_id}/customer`
    const { body } = await actAtMetering(c, services, {
      method: 'PUT',
      path,
      action: 'customer.set',
      target: tenant_id,
      body: c.req.valid('json'),
    })
    return c.json(body as z.output<typeof customerSchema>, 200)
  })

  app.openapi({ ...ledgerRoute, middleware: allow('invoices', 'see') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    const month = c.req.valid('query').month ?? new Date(services.clock.nowMs()).toISOString().slice(0, 7)
    await requireKnownTenant(services, tenant_id)
    const path = `/internal/v1/tenants/${tenant_id}/ledger/${month}`
    return metering.fetchDocument(path, 'text/csv', c.var.requestId) as never
  })

  app.openapi({ ...creditsRoute, middleware: allow('invoices', 'see') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    await requireKnownTenant(services, tenant_id)
    const { body } = await metering.send('GET', `/internal/v1/tenants/${tenant_id}/credits`)
    return c.json(body as { data: z.output<typeof creditSchema>[]; next_cursor: null }, 200)
  })

  app.openapi({ ...creditRoute, middleware: allow('invoices', 'act') }, async (c) => {
    const { tenant_id, key } = c.req.valid('param')
    await requireKnownTenant(services, tenant_id)
    const path = `/internal/v1/tenants/${tenant_id}/credits/${key}`
    const answer = await actAtMetering(c, services, {
      method: 'PUT',
      path,
      action: 'credit.add',
      target: tenant_id,
      body: c.req.valid('json'),
    })
    return c.json(answer.body as z.output<typeof creditSchema>, answer.status === 201 ? 201 : 200)
  })

  return app
}
