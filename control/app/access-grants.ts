import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { endAccessGrant, findAccessGrant, insertAccessGrant, listAccessGrants } from '../stores/access-grant-store.ts'
import { findTenant, lockTenant } from '../stores/tenant-store.ts'
import { accessGrantSchema, renderAccessGrant } from './access-grant-schemas.ts'
import { allow, notFound } from './authentication.ts'
import { decodeCursor, makePage } from './cursor.ts'
import { type AppEnv, type AppServices, actorOf } from './environment.ts'
import { mutate } from './mutation.ts'
import { BEARER, json, jsonBody, problems } from './responses.ts'
import { listOf, pageQuerySchema, tenantIdParamSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const requestSchema = z
  .strictObject({
    reason: z.string().trim().min(1).max(1_000),
    minutes: z.number().int().min(1).max(1_440),
    access: z.enum(['read', 'write']).default('read'),
  })
  .openapi('RequestAccess')
const grantParams = tenantIdParamSchema.extend({ grant_id: z.string() })

const listRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/access-grants',
  summary: "List the requests for access to a tenant's data",
  security: BEARER,
  request: { params: tenantIdParamSchema, query: pageQuerySchema },
  responses: { 200: json(listOf(accessGrantSchema), 'A page of grants.'), ...problems(400, 401, 404) },
})
const askRoute = createRoute({
  method: 'post',
  path: '/v1/tenants/{tenant_id}/access-grants',
  summary: 'Ask a tenant for access to its data',
  description:
    'The tenant approves with its service key at `POST <name>.<domain>/platform/v1/access-grants/{grant_id}/approve`. ' +
    'Read-only unless `access` is `write`; it ends by itself, and each use is in the audit log of both sides.',
  security: BEARER,
  request: { params: tenantIdParamSchema, body: jsonBody(requestSchema) },
  responses: { 201: json(accessGrantSchema, 'Asked.'), ...problems(400, 401, 403, 404, 415, 422) },
})
const getRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/access-grants/{grant_id}',
  summary: 'Read a request for access',
  security: BEARER,
  request: { params: grantParams },
  responses: { 200: json(accessGrantSchema, 'The grant.'), ...problems(401, 404) },
})
const endRoute = createRoute({
  method: 'delete',
  path: '/v1/tenants/{tenant_id}/access-grants/{grant_id}',
  summary: 'Give access back, or take a request back',
  security: BEARER,
  request: { params: grantParams },
  responses: { 204: { description: 'It opens nothing any more.' }, ...problems(401, 403, 404) },
})

/** `/v1/tenants/{tenant_id}/access-grants`: the platform's side. */
export function accessGrantRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  const nowMs = () => services.clock.nowMs()

  app.openapi({ ...listRoute, middleware: allow('accessGrants', 'see') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    const { limit, cursor } = c.req.valid('query')
    if ((await findTenant(services.pool, tenant_id)) === undefined) throw notFound()
    const before = decodeCursor('access-grants', cursor)
    const rows = await listAccessGrants(services.pool, tenant_id, { before, limit: limit + 1 })
    const page = makePage(
      'access-grants',
      rows,
      limit,
      (row) => row.grant_id,
      (row) => renderAccessGrant(row, nowMs()),
    )
    return c.json(page, 200)
  })

  app.openapi({ ...askRoute, middleware: allow('accessGrants', 'act') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    const { reason, minutes, access } = c.req.valid('json')
    const { body } = await mutate(c, services, async (change) => {
      if ((await lockTenant(change, tenant_id)) === undefined) throw notFound()
      const row = await insertAccessGrant(change, {
        tenant_id,
        requested_by: actorOf(c).actor,
        reason,
        minutes,
        can_write: access === 'write',
      })
      const shown = renderAccessGrant(row, nowMs())
      return {
        status: 201 as const,
        body: shown,
        audit: { action: 'access_grant.request', target: tenant_id, before: null, after: shown },
      }
    })
    return c.json(body, 201)
  })

  app.openapi({ ...getRoute, middleware: allow('accessGrants', 'see') }, async (c) => {
    const { tenant_id, grant_id } = c.req.valid('param')
    const row = await findAccessGrant(services.pool, tenant_id, grant_id)
    if (row === undefined) throw notFound()
    return c.json(renderAccessGrant(row, nowMs()), 200)
  })

  app.openapi({ ...endRoute, middleware: allow('accessGrants', 'act') }, async (c) => {
    const { tenant_id, grant_id } = c.req.valid('param')
    await mutate(c, services, async (change) => {
      const row = await endAccessGrant(change, tenant_id, grant_id)
      if (row === undefined) throw notFound()
      return {
        status: 204 as const,
        body: null,
        audit: { action: 'access_grant.end', target: tenant_id, before: null, after: renderAccessGrant(row, nowMs()) },
      }
    })
    return c.body(null, 204)
  })

  return app
}
