import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { ALERT_SEVERITIES, type AlertRow, listAlerts } from '../stores/alert-store.ts'
import { allow } from './authentication.ts'
import { decodeCursor, makePage } from './cursor.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { BEARER, json, problems } from './responses.ts'
import { listOf, pageQuerySchema, timestampSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const alertSchema = z
  .object({
    alert_id: z.string(),
    kind: z.string(),
    severity: z.enum(ALERT_SEVERITIES),
    tenant_id: z.string().nullable(),
    detail: z.string(),
    group: z.string().openapi({ description: 'Alerts of one cause share it, and are told together.' }),
    attributes: z.record(z.string(), z.unknown()).openapi({ description: 'Facts behind the detail, for programs.' }),
    status: z.enum(['open', 'resolved']),
    opened_at: timestampSchema,
    last_seen_at: timestampSchema,
    resolved_at: timestampSchema.nullable(),
  })
  .openapi('Alert')

const listRoute = createRoute({
  method: 'get',
  path: '/v1/alerts',
  summary: 'List alerts, newest first',
  security: BEARER,
  request: {
    query: pageQuerySchema.extend({
      status: z.enum(['open', 'resolved']).optional(),
      tenant_id: z.string().max(64).optional(),
      kind: z.string().max(64).optional(),
    }),
  },
  responses: { 200: json(listOf(alertSchema), 'A page of alerts.'), ...problems(400, 401, 404) },
})

/** `/v1/alerts` */
export function alertRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi({ ...listRoute, middleware: allow('alerts', 'see') }, async (c) => {
    const { limit, cursor, status, tenant_id, kind } = c.req.valid('query')
    const rows = await listAlerts(services.pool, {
      isOpen: status === undefined ? undefined : status === 'open',
      tenantId: tenant_id,
      kind,
      before: decodeCursor('alerts', cursor),
      limit: limit + 1,
    })
    return c.json(
      makePage('alerts', rows, limit, (row) => row.alert_id, renderAlert),
      200,
    )
  })
  return app
}

function renderAlert(row: AlertRow) {
  return {
    alert_id: row.alert_id,
    kind: row.kind,
    severity: row.severity,
    tenant_id: row.tenant_id,
    detail: row.detail,
    group: row.group_key,
    attributes: row.attributes,
    status: row.resolved_at === null ? ('open' as const) : ('resolved' as const),
    opened_at: row.opened_at.toISOString(),
    last_seen_at: row.last_seen_at.toISOString(),
    resolved_at: row.resolved_at?.toISOString() ?? null,
  }
}
