import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { allow, notFound } from '../app/authentication.ts'
import type { AppEnv, AppServices } from '../app/environment.ts'
import { BEARER, json, problems } from '../app/responses.ts'
import { tenantIdParamSchema, timestampSchema } from '../app/schemas.ts'
import { validationHook } from '../app/validation.ts'
import { monthAt, readMonth } from './month.ts'
import { readReport } from './read-report.ts'

const seconds = z.number().int()
const targetSchema = z.object({
  plan: z.string(),
  uptime: z.number().nullable().openapi({ description: 'The promised part of the month; `null`: best effort.' }),
  allowed_downtime_seconds: seconds.nullable().openapi({ description: 'What the promise leaves room for this month.' }),
})
const reportSchema = z
  .object({
    tenant_id: z.string(),
    month: z.string(),
    period: z.object({ start: timestampSchema, end: timestampSchema }),
    as_of: timestampSchema,
    final: z
      .boolean()
      .openapi({ description: 'The month is over and measured for good: it does not change any more.' }),
    uptime: z
      .number()
      .nullable()
      .openapi({ description: 'Of the measured time; cut after six digits, never rounded up.' }),
    uptime_percent: z.string().nullable(),
    measured_seconds: seconds,
    downtime_seconds: seconds,
    maintenance_downtime_seconds: seconds.openapi({
      description: 'In declared maintenance windows: it does not count.',
    }),
    unobserved_seconds: seconds.openapi({ description: 'When no prober looked: counted neither as up nor as down.' }),
    target: targetSchema.nullable(),
    met: z.boolean().nullable(),
    plans: z.array(
      targetSchema.extend({
        served_seconds: seconds,
        downtime_seconds: seconds,
        met: z.boolean().nullable(),
        credit_percent: z.number(),
      }),
    ),
    incidents: z.array(
      z.object({
        incident_id: z.string(),
        cause: z.string(),
        detail: z.string(),
        started_at: timestampSchema,
        ended_at: timestampSchema.nullable(),
        downtime_seconds: seconds,
        maintenance_seconds: seconds,
      }),
    ),
    credit: z.object({
      currency: z.string(),
      amount_micros: z.number().int(),
      percent: z.number().openapi({ description: "The highest step of the plan's schedule that was reached." }),
      status: z.enum(['none', 'estimated', 'pending', 'handed_over']).openapi({
        description: '`handed_over`: billing puts it on the next invoice.',
      }),
    }),
  })
  .openapi('SlaReport')

const currentRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/sla',
  summary: 'Measured uptime of the current month',
  description: 'Measured from outside, through the gateway, down to the tenant’s database; in whole seconds.',
  security: BEARER,
  request: { params: tenantIdParamSchema },
  responses: { 200: json(reportSchema, 'The month so far.'), ...problems(401, 404) },
})
const monthRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/sla/{month}',
  summary: 'Measured uptime of a month (UTC)',
  security: BEARER,
  request: {
    params: tenantIdParamSchema.extend({
      month: z.string().regex(/^\d{4}-(?:0[1-9]|1[0-2])$/, 'must be a month: YYYY-MM'),
    }),
  },
  responses: { 200: json(reportSchema, 'The month.'), ...problems(400, 401, 404) },
})

/** `/v1/tenants/{tenant_id}/sla`, also of tenants that are gone. */
export function slaRoutes(services: Pick<AppServices, 'pool' | 'catalogue' | 'clock'>) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  const read = async (tenantId: string, month: ReturnType<typeof readMonth>) => {
    const report = await readReport(services, tenantId, month)
    if (report === undefined) throw notFound()
    return report
  }
  app.openapi({ ...currentRoute, middleware: allow('sla', 'see') }, async (c) =>
    c.json(await read(c.req.valid('param').tenant_id, monthAt(services.clock.nowMs())), 200),
  )
  app.openapi({ ...monthRoute, middleware: allow('sla', 'see') }, async (c) => {
    const { tenant_id, month } = c.req.valid('param')
    return c.json(await read(tenant_id, readMonth(month)), 200)
  })
  return app
}
