import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { effectiveQuotas, quotasSchema } from '../../tenancy/plan.ts'
import { type TenantRow, tenantExisted } from '../stores/tenant-store.ts'
import { allow, notFound } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { queryOf } from './metering-calls.ts'
import { BEARER, json, problems } from './responses.ts'
import { daysQuery, tenantIdParamSchema, timestampSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const monthSchema = z.string().regex(/^\d{4}-(?:0[1-9]|1[0-2])$/, 'must be a month: YYYY-MM')
const usageSchema = z
  .looseObject({
    tenant_id: z.string(),
    month: z.string(),
    period: z.object({ start: z.string(), end: z.string() }),
    resources: z.object({
      api_requests: z.object({
        total: z.number().int(),
        billable: z.number().int(),
        by_status: z.record(z.string(), z.number().int()),
        by_endpoint: z.array(
          z.object({ method: z.string(), endpoint: z.string(), status: z.number().int(), count: z.number().int() }),
        ),
      }),
      storage: z.object({ documents_bytes: z.number(), files_bytes: z.number(), byte_hours: z.number() }),
      egress: z.object({ bytes: z.number() }),
      ingress: z.object({ bytes: z.number() }),
      realtime: z.object({
        peak_connections: z.number(),
        average_connections: z.number(),
        messages: z.number(),
      }),
      compute: z.object({ seconds: z.number() }),
    }),
    quotas: quotasSchema,
    as_of: z.string(),
  })
  .openapi('Usage')
const pointSchema = z
  .object({
    at: timestampSchema,
    value: z.number().openapi({ description: 'The sum of what was counted; the peak of what was held.' }),
    average: z.number().optional().openapi({ description: 'Of what was held.' }),
    by_status: z
      .record(z.string(), z.number().int())
      .optional()
      .openapi({ description: 'Requests by class of status, such as `2xx`.' }),
  })
  .openapi('UsagePoint')
const seriesSchema = z
  .looseObject({
    tenant_id: z.string(),
    resource: z.string(),
    step: z.enum(['hour', 'day']),
    data: z.array(pointSchema),
    as_of: timestampSchema,
  })
  .openapi('UsageSeries')
const seriesQuery = z.object({
  resource: z
    .enum([
      ...['api_requests', 'egress', 'ingress', 'realtime_messages', 'compute_seconds'],
      ...['documents_bytes', 'files_bytes', 'realtime_connections'],
    ] as const)
    .default('api_requests'),
  step: z.enum(['hour', 'day']).default('day'),
  by: z.enum(['status']).optional().openapi({ description: 'Of `api_requests` by day.' }),
})

const currentRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/usage',
  summary: 'Usage of the current month',
  security: BEARER,
  request: { params: tenantIdParamSchema },
  responses: { 200: json(usageSchema, 'A request is in it within 5 s of its response.'), ...problems(401, 404, 503) },
})
const monthRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/usage/{month}',
  summary: 'Usage of a month (UTC)',
  security: BEARER,
  request: { params: tenantIdParamSchema.extend({ month: monthSchema }) },
  responses: { 200: json(usageSchema, 'The usage.'), ...problems(400, 401, 404, 503) },
})
const seriesRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/usage/{month}/series',
  summary: "A month's usage over time, for charts",
  security: BEARER,
  request: {
    params: tenantIdParamSchema.extend({ month: monthSchema }),
    query: seriesQuery,
  },
  responses: { 200: json(seriesSchema, 'The series.'), ...problems(400, 401, 404, 503) },
})

const rangeRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/usage-series',
  summary: 'Usage over a range of days, for charts',
  description: 'Up to a year by day, up to 31 days by hour.',
  security: BEARER,
  request: { params: tenantIdParamSchema, query: seriesQuery.extend(daysQuery.shape) },
  responses: { 200: json(seriesSchema, 'The series.'), ...problems(400, 401, 404, 503) },
})

/** `/v1/tenants/{tenant_id}/usage`, also of tenants that are gone: their months are still to be paid. */
export function usageRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })

  const findKnown = async (tenantId: string): Promise<TenantRow> => {
    const row = await tenantExisted(services.pool, tenantId)
    if (row === undefined) throw notFound()
    return row
  }
  const readUsage = async (tenantId: string, month: string) => {
    const row = await findKnown(tenantId)
    const usage = await services.metering.readUsage(tenantId, month)
    const plan = services.catalogue.find(row.plan) ?? services.catalogue.defaultPlan
    return { ...usage, quotas: effectiveQuotas(plan, row.quotas) } as z.output<typeof usageSchema>
  }

  app.openapi({ ...currentRoute, middleware: allow('usage', 'see') }, async (c) => {
    const month = new Date(services.clock.nowMs()).toISOString().slice(0, 7)
    return c.json(await readUsage(c.req.valid('param').tenant_id, month), 200)
  })
  app.openapi({ ...monthRoute, middleware: allow('usage', 'see') }, async (c) => {
    const { tenant_id, month } = c.req.valid('param')
    return c.json(await readUsage(tenant_id, month), 200)
  })
  app.openapi({ ...seriesRoute, middleware: allow('usage', 'see') }, async (c) => {
    const { tenant_id, month } = c.req.valid('param')
    await findKnown(tenant_id)
    const query = queryOf(c.req.valid('query'))
    const { body } = await services.metering.send(
      'GET',
      `/internal/v1/tenants/${tenant_id}/usage/${month}/series?${query}`,
    )
    return c.json(body as z.output<typeof seriesSchema>, 200)
  })
  app.openapi({ ...rangeRoute, middleware: allow('usage', 'see') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    await findKnown(tenant_id)
    const query = queryOf(c.req.valid('query'))
    const { body } = await services.metering.send('GET', `/internal/v1/tenants/${tenant_id}/usage-series?${query}`)
    return c.json(body as z.output<typeof seriesSchema>, 200)
  })
  return app
}
