import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { allow } from '../app/authentication.ts'
import type { AppEnv } from '../app/environment.ts'
import { BEARER, problems } from '../app/responses.ts'
import type { SlaMetrics } from './sla-metrics.ts'

const metricsRoute = createRoute({
  method: 'get',
  path: '/v1/metrics',
  summary: 'What this control process measures, for Prometheus',
  description: 'Looks at tenants, open incidents and alerts. Labels never name a tenant.',
  security: BEARER,
  responses: {
    200: {
      content: { 'text/plain': { schema: z.string() } },
      description: "In Prometheus' text format.",
    },
    ...problems(401, 404),
  },
})

/** `/v1/metrics`: behind a platform key, since control's port is reached through the gateway as well. */
export function metricsRoutes(metrics: SlaMetrics) {
  const app = new OpenAPIHono<AppEnv>()
  app.openapi({ ...metricsRoute, middleware: allow('sla', 'see') }, async (c) =>
    c.text(await metrics.registry.metrics(), 200, { 'Content-Type': metrics.registry.contentType }),
  )
  return app
}
