import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { readOverview } from '../stores/overview-store.ts'
import { allow } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { queryOf } from './metering-calls.ts'
import { BEARER, json, problems } from './responses.ts'
import { daysQuery, timestampSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const counts = z.record(z.string(), z.number().int())
const overviewSchema = z
  .object({
    tenants: z.object({ total: z.number().int(), by_plan: counts, by_status: counts, by_isolation: counts }).openapi({
      description: 'Purged tenants are not counted; deleted ones are, under their status only.',
    }),
    storage: z.object({ documents_bytes: z.number().int(), files_bytes: z.number().int() }),
    operations: z.object({ under_way: z.number().int(), failed_last_day: z.number().int() }),
    alerts: z.object({ open: z.number().int(), critical: z.number().int() }),
    as_of: timestampSchema,
  })
  .openapi('Overview')

const overviewRoute = createRoute({
  method: 'get',
  path: '/v1/overview',
  summary: 'The whole platform in figures',
  security: BEARER,
  responses: { 200: json(overviewSchema, 'As it stands now.'), ...problems(401, 404) },
})

const daysSchema = z
  .object({
    data: z.array(
      z.object({
        at: timestampSchema,
        requests: z.number().int(),
        by_status: counts.openapi({ description: 'By class of status, such as `2xx`.' }),
        faults: z.number().int().openapi({ description: 'Failed through a fault of the platform (502, 503, 504).' }),
        egress_bytes: z.number().int(),
        ingress_bytes: z.number().int(),
        average_ms: z
          .number()
          .nullable()
          .openapi({ description: 'Of a request, from its head to the end of its answer.' }),
      }),
    ),
  })
  .openapi('PlatformDays')

const daysRoute = createRoute({
  method: 'get',
  path: '/v1/usage-series',
  summary: 'Requests of all tenants by day',
  description: 'Up to a year.',
  security: BEARER,
  request: { query: daysQuery },
  responses: { 200: json(daysSchema, 'A day each.'), ...problems(400, 401, 404, 503) },
})

const revenueSchema = z
  .object({
    currency: z.string(),
    data: z.array(
      z.object({
        month: z.string(),
        state: z.enum(['open', 'over']),
        invoices: z.number().int(),
        invoiced_micros: z.number().int(),
        credited_micros: z.number().int(),
        paid_micros: z.number().int(),
        drafts: z
          .object({
            tenants: z.number().int(),
            total_micros: z.number().int(),
            by_plan: z.array(z.object({ plan: z.string(), tenants: z.number().int(), total_micros: z.number().int() })),
            as_of: timestampSchema,
          })
          .nullable()
          .openapi({
            description: 'Of the open month: what its invoices come to so far, added up every quarter of an hour.',
          }),
      }),
    ),
  })
  .openapi('Revenue')

const revenueRoute = createRoute({
  method: 'get',
  path: '/v1/revenue',
  summary: 'What each month brings in, the newest first',
  security: BEARER,
  request: { query: z.object({ months: z.coerce.number().int().min(1).max(36).optional() }) },
  responses: { 200: json(revenueSchema, 'Amounts in micro-units.'), ...problems(400, 401, 404, 503) },
})

/** `/v1/overview`, `/v1/usage-series`, `/v1/revenue`: the platform as a whole. */
export function overviewRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi({ ...overviewRoute, middleware: allow('tenants', 'see') }, async (c) =>
    c.json(await readOverview(services.pool, services.clock.nowMs()), 200),
  )
  app.openapi({ ...daysRoute, middleware: allow('usage', 'see') }, async (c) => {
    const { body } = await services.metering.send('GET', `/internal/v1/platform/days?${queryOf(c.req.valid('query'))}`)
    return c.json(body as z.output<typeof daysSchema>, 200)
  })
  app.openapi({ ...revenueRoute, middleware: allow('invoices', 'see') }, async (c) => {
    const { body } = await services.metering.send(
      'GET',
      `/internal/v1/platform/revenue?${queryOf(c.req.valid('query'))}`,
    )
    return c.json(body as z.output<typeof revenueSchema>, 200)
  })
  return app
}
