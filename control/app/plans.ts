import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { ISOLATIONS, type PlanCatalogue, quotasSchema } from '../../tenancy/plan.ts'
import type { AppEnv } from './environment.ts'
import { json } from './responses.ts'

const planSchema = z
  .object({
    id: z.string(),
    title: z.string(),
    quotas: quotasSchema,
    isolations: z.array(z.enum(ISOLATIONS)),
    server_memory_bytes: z.partialRecord(z.enum(ISOLATIONS), z.number().int()).optional().openapi({
      description: "Memory that a server of the tenant's own may use (of a cluster: each node), from its next start.",
    }),
    retention_days: z.number().int(),
    sla: z.object({
      uptime: z.number().nullable(),
      downtime_seconds_per_month: z.number().nullable(),
      credits: z
        .array(z.object({ below: z.number(), percent: z.number() }))
        .optional()
        .openapi({ description: "What is given back of the month's fees once the uptime is below a step." }),
    }),
    base_fee_micros: z.number().int(),
    isolation_surcharge_micros: z.partialRecord(z.enum(ISOLATIONS), z.number().int()),
    minimum_micros: z.number().int().optional(),
    meters: z.record(
      z.string(),
      z.object({
        included: z.number().int(),
        per: z.number().int(),
        price_micros: z.number().int(),
        tiers: z.array(z.object({ above: z.number().int(), price_micros: z.number().int() })).optional(),
      }),
    ),
  })
  .openapi('Plan')

const listPlansRoute = createRoute({
  method: 'get',
  path: '/v1/plans',
  summary: 'List the plans with their prices',
  description: 'Public: it is the price list. Amounts are millionths of the currency unit.',
  responses: {
    200: json(
      z.object({
        currency: z.string(),
        default_plan: z.string(),
        data: z.array(planSchema),
        next_cursor: z.null(),
      }),
      'All plans.',
    ),
  },
})

/** `/v1/plans` */
export function planRoutes(catalogue: PlanCatalogue) {
  const app = new OpenAPIHono<AppEnv>()
  app.openapi(listPlansRoute, (c) =>
    c.json(
      {
        currency: catalogue.currency,
        default_plan: catalogue.defaultPlan.id,
        data: catalogue.plans.map((plan) => ({ ...plan })),
        next_cursor: null,
      },
      200,
    ),
  )
  return app
}
