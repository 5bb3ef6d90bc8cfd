import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { ISOLATIONS } from '../../tenancy/plan.ts'
import { TENANT_STATUSES } from '../../tenancy/tenant.ts'
import { findOperation } from '../stores/operation-store.ts'
import { countTenants, findTenant, isCounted, listTenants, TENANT_SORTS } from '../stores/tenant-store.ts'
import { allow, notFound } from './authentication.ts'
import { acceptTenant, renderCreated } from './create-tenant.ts'
import { decodeCursor, foreignCursor, makePage } from './cursor.ts'
import { deleteTenant, restoreTenant } from './delete-tenant.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { matchesNone } from './etag.ts'
import { keepAnswer } from './mutation.ts'
import { patchTenant } from './patch-tenant.ts'
import { renderOperation, renderTenant, tenantEtag } from './render.ts'
import { BEARER, json, jsonBody, problems } from './responses.ts'
import {
  acceptedTenantSchema,
  createdTenantSchema,
  createTenantSchema,
  listedTenantSchema,
  listOf,
  operationSchema,
  pageQuerySchema,
  patchedTenantSchema,
  patchTenantSchema,
  tenantIdParamSchema,
  tenantSchema,
} from './schemas.ts'
import { validationHook } from './validation.ts'

/** A create answers when the tenant serves; past this it answers 202, and the operation goes on. Before a gateway stops waiting (60 s). */
const CREATE_WAIT_MS = 50_000

const createTenantRoute = createRoute({
  method: 'post',
  path: '/v1/tenants',
  summary: 'Create a tenant',
  security: BEARER,
  request: { body: jsonBody(createTenantSchema) },
  responses: {
    201: json(createdTenantSchema, 'The tenant serves requests. Its keys are shown this once.'),
    202: json(acceptedTenantSchema, 'Accepted (`Prefer: respond-async`, or it takes longer than 50 seconds).'),
    ...problems(400, 401, 403, 409, 413, 415, 422, 501, 503),
  },
})

const listTenantsRoute = createRoute({
  method: 'get',
  path: '/v1/tenants',
  summary: 'List tenants, newest first',
  description: 'Deleted tenants are listed with `status=deleted` only. A cursor belongs to the order it came from.',
  security: BEARER,
  request: {
    query: pageQuerySchema.extend({
      name: z.string().max(40).optional().openapi({ description: 'A part of the name.' }),
      plan: z.string().max(32).optional(),
      status: z.enum(TENANT_STATUSES).optional(),
      isolation: z.enum(ISOLATIONS).optional(),
      sort: z.enum(TENANT_SORTS).default('created_at'),
      order: z.enum(['asc', 'desc']).optional().openapi({ description: 'Texts ascend, the rest descends by itself.' }),
      count: z.enum(['true', 'false']).optional().openapi({ description: '`true`: also how many there are in all.' }),
    }),
  },
  responses: {
    200: json(
      listOf(listedTenantSchema).extend({ total: z.number().int().optional() }),
      'A page of tenants; `total` where `count` asks for it.',
    ),
    ...problems(400, 401),
  },
})

const getTenantRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}',
  summary: 'Read a tenant',
  security: BEARER,
  request: { params: tenantIdParamSchema, headers: z.object({ 'if-none-match': z.string().optional() }) },
  responses: {
    200: json(tenantSchema, 'The tenant, with its `ETag`.'),
    304: { description: 'As the caller has it.' },
    ...problems(401, 404),
  },
})

const patchTenantRoute = createRoute({
  method: 'patch',
  path: '/v1/tenants/{tenant_id}',
  summary: 'Change a tenant (JSON Merge Patch)',
  security: BEARER,
  request: {
    params: tenantIdParamSchema,
    headers: z.object({ 'if-match': z.string().optional() }),
    body: {
      content: {
        'application/merge-patch+json': { schema: patchTenantSchema },
        'application/json': { schema: patchTenantSchema },
      },
      required: true,
    },
  },
  responses: {
    200: json(
      patchedTenantSchema,
      'The tenant as it is now; in force at every gateway within a second. Another `isolation` moves the live tenant: it is `migrating`, and serves, until the operation has ended.',
    ),
    202: json(
      operationSchema,
      'With `Prefer: respond-async` and another `isolation`: the operation that moves the tenant.',
    ),
    ...problems(400, 401, 403, 404, 409, 412, 413, 415, 501),
  },
})

const deleteTenantRoute = createRoute({
  method: 'delete',
  path: '/v1/tenants/{tenant_id}',
  summary: 'Delete a tenant',
  description: 'Requests stop at once; data is kept for the retention of the plan, or removed now with `purge=true`.',
  security: BEARER,
  request: { params: tenantIdParamSchema, query: z.object({ purge: z.enum(['true', 'false']).optional() }) },
  responses: { 202: json(operationSchema, 'The operation that does it.'), ...problems(400, 401, 403, 404, 409) },
})

const restoreTenantRoute = createRoute({
  method: 'post',
  path: '/v1/tenants/{tenant_id}/restore',
  summary: 'Restore a deleted tenant',
  security: BEARER,
  request: { params: tenantIdParamSchema },
  responses: { 202: json(operationSchema, 'The operation that does it.'), ...problems(401, 403, 404, 409, 422) },
})

/** `/v1/tenants` */
export function tenantRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  const render = (row: Parameters<typeof renderTenant>[0]) => renderTenant(row, services.catalogue, services.domain)

  app.openapi({ ...createTenantRoute, middleware: allow('tenants', 'act') }, async (c) => {
    const isAsync = wantsAsync(c.req.header('prefer'))
    const { operation, keys } = await acceptTenant(c, services, c.req.valid('json'), { isAsync })
    if (isAsync) {
      const body = { ...renderOperation(operation), keys }
      await keepAnswer(c, services, services.pool, 202, body)
      c.header('Preference-Applied', 'respond-async')
      c.header('Location', `/v1/operations/${operation.operation_id}`)
      return c.json(body, 202)
    }
    await services.reconciler.run(operation.operation_id)
    const ended = await services.reconciler.whenEnded(operation.operation_id, CREATE_WAIT_MS)
    const created = await renderCreated(services, ended)
    if (created === undefined) {
      c.header('Location', `/v1/operations/${operation.operation_id}`)
      return c.json({ ...renderOperation(ended), keys }, 202)
    }
    await keepAnswer(c, services, services.pool, 201, created)
    c.header('Location', `/v1/tenants/${created.tenant_id}`)
    return c.json(created, 201)
  })

  app.openapi({ ...listTenantsRoute, middleware: allow('tenants', 'see') }, async (c) => {
    const { limit, cursor, sort, order: asked, count, ...filter } = c.req.valid('query')
    const order = asked ?? (isCounted(sort) ? 'desc' : 'asc')
    const list = `tenants:${sort}:${order}`
    const position = decodeCursor(list, cursor)
    const [rows, total] = await Promise.all([
      listTenants(services.pool, filter, {
        sort,
        order,
        after: position === undefined ? undefined : readPosition(position, isCounted(sort)),
        limit: limit + 1,
        month: new Date(services.clock.nowMs()).toISOString().slice(0, 7),
      }),
      count === 'true' ? countTenants(services.pool, filter) : undefined,
    ])
    const page = makePage(
      list,
      rows,
      limit,
      (row) => JSON.stringify([row.sort_value, row.position]),
      (row) => ({ ...render(row), api_requests_this_month: row.api_requests }),
    )
    return c.json(total === undefined ? page : { ...page, total }, 200)
  })

  app.openapi({ ...getTenantRoute, middleware: allow('tenants', 'see') }, async (c) => {
    const row = await findTenant(services.pool, c.req.valid('param').tenant_id)
    if (row === undefined) throw notFound()
    const etag = tenantEtag(row)
    c.header('ETag', etag)
    c.header('Cache-Control', 'private, no-cache')
    if (matchesNone(c.req.valid('header')['if-none-match'], etag)) return c.body(null, 304)
    return c.json(render(row), 200)
  })

  app.openapi({ ...patchTenantRoute, middleware: allow('tenants', 'act') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    const ifMatch = c.req.valid('header')['if-match']
    const { row, operation } = await patchTenant(c, services, tenant_id, c.req.valid('json'), ifMatch)
    c.header('ETag', tenantEtag(row))
    if (operation === undefined) return c.json(render(row), 200)
    void services.reconciler.run(operation.operation_id)
    c.header('Location', `/v1/operations/${operation.operation_id}`)
    if (wantsAsync(c.req.header('prefer'))) {
      c.header('Preference-Applied', 'respond-async')
      return c.json(renderOperation(operation), 202)
    }
    return c.json({ ...render(row), operation_id: operation.operation_id }, 200)
  })

  app.openapi({ ...deleteTenantRoute, middleware: allow('tenants', 'act') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    const operation = await deleteTenant(c, services, tenant_id, c.req.valid('query').purge === 'true')
    void services.reconciler.run(operation.operation_id)
    c.header('Location', `/v1/operations/${operation.operation_id}`)
    return c.json(renderOperation(operation), 202)
  })

  app.openapi({ ...restoreTenantRoute, middleware: allow('tenants', 'act') }, async (c) => {
    const operation = await restoreTenant(c, services, c.req.valid('param').tenant_id)
    await services.reconciler.run(operation.operation_id)
    const now = (await findOperation(services.pool, operation.operation_id)) ?? operation
    c.header('Location', `/v1/operations/${operation.operation_id}`)
    return c.json(renderOperation(now), 202)
  })

  return app
}

/** RFC 7240: the caller would rather have the operation at once. */
function wantsAsync(prefer: string | undefined): boolean {
  return /(?:^|[,;\s])respond-async(?:$|[,;\s])/i.test(prefer ?? '')
}

const positionSchema = z.tuple([z.string().max(200), z.int().nonnegative()])
const countedSchema = z.tuple([z.string().regex(/^\d{1,18}$/), z.int().nonnegative()])

/** @throws Problem 400 `validation_failed` when it is none that a page ended with. */
function readPosition(text: string, counted: boolean): { value: string; position: number } {
  try {
    const [value, position] = (counted ? countedSchema : positionSchema).parse(JSON.parse(text))
    return { value, position }
  } catch {
    throw foreignCursor()
  }
}
