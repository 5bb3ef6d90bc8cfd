import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { requireOutboundUrl } from '../outreach/outbound-url.ts'
import { type BackendRow, deleteBackend, insertBackend, listBackends } from '../stores/backend-store.ts'
import { allow, notFound } from './authentication.ts'
import { decodeCursor, makePage } from './cursor.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { mutate } from './mutation.ts'
import { BEARER, json, jsonBody, problems } from './responses.ts'
import { listOf, pageQuerySchema, timestampSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const backendSchema = z
  .object({
    backend_id: z.string(),
    name: z.string(),
    url: z.string(),
    pipelining: z.number().int(),
    created_at: timestampSchema,
  })
  .openapi('Backend')
const createSchema = z
  .strictObject({
    name: z
      .string()
      .regex(
        /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
        'must be lower-case letters, digits and inner hyphens, at most 63',
      ),
    url: z.string().max(2_048),
    pipelining: z.number().int().min(1).max(1_000).default(1),
  })
  .openapi('CreateBackend')

const listRoute = createRoute({
  method: 'get',
  path: '/v1/backends',
  summary: 'List the registered backends',
  security: BEARER,
  request: { query: pageQuerySchema },
  responses: { 200: json(listOf(backendSchema), 'A page of backends.'), ...problems(400, 401, 404) },
})
const createBackendRoute = createRoute({
  method: 'post',
  path: '/v1/backends',
  summary: 'Register a further HTTP upstream',
  description: 'An AeroDB server, a PostgREST, a Supabase stack. Tenants are placed on it by its name.',
  security: BEARER,
  request: { body: jsonBody(createSchema) },
  responses: { 201: json(backendSchema, 'Registered.'), ...problems(400, 401, 403, 404, 409, 415, 422) },
})
const deleteRoute = createRoute({
  method: 'delete',
  path: '/v1/backends/{backend_id}',
  summary: 'Forget a backend, by its id or name',
  security: BEARER,
  request: { params: z.object({ backend_id: z.string() }) },
  responses: { 204: { description: 'Forgotten.' }, ...problems(401, 403, 404, 409) },
})

/** `/v1/backends` */
export function backendRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })

  app.openapi({ ...listRoute, middleware: allow('backends', 'see') }, async (c) => {
    const { limit, cursor } = c.req.valid('query')
    const before = decodeCursor('backends', cursor)
    const rows = await listBackends(services.pool, { before, limit: limit + 1 })
    return c.json(
      makePage('backends', rows, limit, (row) => row.backend_id, renderBackend),
      200,
    )
  })

  app.openapi({ ...createBackendRoute, middleware: allow('backends', 'act') }, async (c) => {
    const { name, url, pipelining } = c.req.valid('json')
    const checked = await requireOutboundUrl(url, 'url', services.allowPrivateAddresses)
    const { body } = await mutate(c, services, async (change) => {
      const row = await insertBackend(change, { name, url: checked.href.replace(/\/$/, ''), pipelining })
      const shown = renderBackend(row)
      return {
        status: 201 as const,
        body: shown,
        audit: { action: 'backend.create', target: row.backend_id, before: null, after: shown },
      }
    })
    return c.json(body, 201)
  })

  app.openapi({ ...deleteRoute, middleware: allow('backends', 'act') }, async (c) => {
    await mutate(c, services, async (change) => {
      const row = await deleteBackend(change, c.req.valid('param').backend_id)
      if (row === undefined) throw notFound()
      return {
        status: 204 as const,
        body: null,
        audit: { action: 'backend.delete', target: row.backend_id, before: renderBackend(row), after: null },
      }
    })
    return c.body(null, 204)
  })

  return app
}

function renderBackend(row: BackendRow) {
  return { ...row, created_at: row.created_at.toISOString() }
}
