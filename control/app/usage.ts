import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { effectiveQuotas, quotasSchema } from '../../tenancy/plan.ts'
import { type TenantRow, tenantExisted } from '../stores/tenant-store.ts'
import { allow, notFound } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { BEARER, json, problems } from './responses.ts'
import { tenantIdParamSchema } from './schemas.ts'
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
const seriesSchema = z.looseObject({}).openapi('UsageSeries')

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
    query: z.object({
      resource: z.string().max(64).default('api_requests'),
      step: z.enum(['hour', 'day']).default('day'),
    }),
  },
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
    const { resource, step } = c.req.valid('query')
    await findKnown(tenant_id)
    return c.json(await services.metering.readSeries(tenant_id, month, resource, step), 200)
  })
  return app
}
