import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { makeId } from '../../runtime/ids.ts'
import { Problem } from '../../runtime/problem.ts'
import { allow, notFound } from '../app/authentication.ts'
import { decodeCursor, makePage } from '../app/cursor.ts'
import type { AppEnv, AppServices } from '../app/environment.ts'
import { mutate } from '../app/mutation.ts'
import { BEARER, json, jsonBody, problems } from '../app/responses.ts'
import { listOf, pageQuerySchema, timestampSchema } from '../app/schemas.ts'
import { validationHook } from '../app/validation.ts'
import { findTenant } from '../stores/tenant-store.ts'
import {
  deleteWindow,
  endWindow,
  insertWindow,
  listWindows,
  lockWindow,
  type MaintenanceWindowRow,
} from './maintenance-store.ts'

/** A window is declared before it begins, give or take the caller's clock: what was down already stays counted. */
const MAX_LATE_MS = 60_000
const MAX_LENGTH_MS = 24 * 3_600_000

const windowSchema = z
  .object({
    window_id: z.string(),
    tenant_id: z.string().nullable().openapi({ description: '`null`: the whole platform.' }),
    starts_at: timestampSchema,
    ends_at: timestampSchema,
    reason: z.string(),
    state: z.enum(['scheduled', 'running', 'over']),
    created_at: timestampSchema,
  })
  .openapi('MaintenanceWindow')
const createSchema = z
  .strictObject({
    tenant_id: z.string().max(64).nullable().optional(),
    starts_at: z.iso.datetime({ offset: true }).optional().openapi({ description: 'Now, where it is not given.' }),
    ends_at: z.iso.datetime({ offset: true }),
    reason: z.string().min(1).max(300),
  })
  .openapi('DeclareMaintenance')
const params = z.object({ window_id: z.string() })

const listRoute = createRoute({
  method: 'get',
  path: '/v1/maintenance-windows',
  summary: 'List maintenance windows, newest first',
  description: 'With `tenant_id` those of the tenant and of the platform.',
  security: BEARER,
  request: { query: pageQuerySchema.extend({ tenant_id: z.string().max(64).optional() }) },
  responses: { 200: json(listOf(windowSchema), 'A page of windows.'), ...problems(400, 401, 404) },
})
const declareRoute = createRoute({
  method: 'post',
  path: '/v1/maintenance-windows',
  summary: 'Declare maintenance, of a tenant or of the whole platform',
  description:
    'Downtime inside the window does not count and raises no alert. It is declared before it begins and lasts 24 hours at most.',
  security: BEARER,
  request: { body: jsonBody(createSchema) },
  responses: { 201: json(windowSchema, 'The window.'), ...problems(400, 401, 403, 404, 415, 422) },
})
const endRoute = createRoute({
  method: 'delete',
  path: '/v1/maintenance-windows/{window_id}',
  summary: 'End a maintenance window',
  description:
    'One that has begun ends now and is kept; one that has not is removed; one that is over stays as it was.',
  security: BEARER,
  request: { params },
  responses: { 204: { description: 'It is over.' }, ...problems(401, 403, 404) },
})

/** `/v1/maintenance-windows` */
export function maintenanceRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  const { clock } = services
  const render = (row: MaintenanceWindowRow) => renderWindow(row, clock.nowMs())

  app.openapi({ ...listRoute, middleware: allow('maintenance', 'see') }, async (c) => {
    const { limit, cursor, tenant_id } = c.req.valid('query')
    const before = decodeCursor('maintenance-windows', cursor)
    const rows = await listWindows(services.pool, { tenantId: tenant_id, before, limit: limit + 1 })
    return c.json(
      makePage('maintenance-windows', rows, limit, (row) => row.window_id, render),
      200,
    )
  })

  app.openapi({ ...declareRoute, middleware: allow('maintenance', 'act') }, async (c) => {
    const { tenant_id, starts_at, ends_at, reason } = c.req.valid('json')
    const nowMs = clock.nowMs()
    const startsMs = starts_at === undefined ? nowMs : Date.parse(starts_at)
    const endsMs = Date.parse(ends_at)
    const refuse = (path: string, message: string) =>
      new Problem(400, 'validation_failed', { detail: 'The window cannot be declared.', errors: [{ path, message }] })
    if (startsMs < nowMs - MAX_LATE_MS) throw refuse('starts_at', 'must not lie in the past')
    if (endsMs <= startsMs) throw refuse('ends_at', 'must be later than starts_at')
    if (endsMs - startsMs > MAX_LENGTH_MS) throw refuse('ends_at', 'must be at most 24 hours after starts_at')
    const { body } = await mutate(c, services, async (change) => {
      if (typeof tenant_id === 'string' && (await findTenant(change.tx, tenant_id)) === undefined) throw notFound()
      const row = await insertWindow(change, {
        window_id: makeId('mnt'),
        tenant_id: tenant_id ?? null,
        starts_at: new Date(startsMs),
        ends_at: new Date(endsMs),
        reason,
      })
      const shown = render(row)
      return {
        status: 201 as const,
        body: shown,
        audit: { action: 'maintenance.declare', target: tenant_id ?? 'platform', before: null, after: shown },
      }
    })
    return c.json(body, 201)
  })

  app.openapi({ ...endRoute, middleware: allow('maintenance', 'act') }, async (c) => {
    const { window_id } = c.req.valid('param')
    await mutate(c, services, async (change) => {
      const row = await lockWindow(change, window_id)
      if (row === undefined) throw notFound()
      const nowMs = clock.nowMs()
      if (row.starts_at.getTime() > nowMs) await deleteWindow(change, window_id)
      else if (row.ends_at.getTime() > nowMs) await endWindow(change, window_id, new Date(nowMs))
      return {
        status: 204 as const,
        body: null,
        audit: { action: 'maintenance.end', target: row.tenant_id ?? 'platform', before: render(row), after: null },
      }
    })
    return c.body(null, 204)
  })
  return app
}

function renderWindow(row: MaintenanceWindowRow, nowMs: number) {
  const isOver = row.ends_at.getTime() <= nowMs
  return {
    window_id: row.window_id,
    tenant_id: row.tenant_id,
    starts_at: row.starts_at.toISOString(),
    ends_at: row.ends_at.toISOString(),
    reason: row.reason,
    state: isOver
      ? ('over' as const)
      : row.starts_at.getTime() <= nowMs
        ? ('running' as const)
        : ('scheduled' as const),
    created_at: row.created_at.toISOString(),
  }
}
