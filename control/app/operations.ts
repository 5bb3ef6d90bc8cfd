import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { findOperation, listOperations } from '../stores/operation-store.ts'
import { allow, notFound } from './authentication.ts'
import { decodeCursor, makePage } from './cursor.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { renderOperation } from './render.ts'
import { BEARER, json, problems } from './responses.ts'
import { listOf, operationSchema, pageQuerySchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const listedOperationSchema = operationSchema.extend({ tenant_name: z.string() }).openapi('ListedOperation')

const getOperationRoute = createRoute({
  method: 'get',
  path: '/v1/operations/{operation_id}',
  summary: 'Read an operation',
  description: 'Every operation ends, by `deadline_at`, as succeeded or failed.',
  security: BEARER,
  request: { params: z.object({ operation_id: z.string() }) },
  responses: { 200: json(operationSchema, 'The operation.'), ...problems(401, 404) },
})

const listOperationsRoute = createRoute({
  method: 'get',
  path: '/v1/operations',
  summary: 'List operations, newest first',
  description: 'Of the last 90 days.',
  security: BEARER,
  request: {
    query: pageQuerySchema.extend({
      status: operationSchema.shape.status.optional(),
      kind: operationSchema.shape.kind.optional(),
      tenant_id: z.string().max(64).optional(),
    }),
  },
  responses: { 200: json(listOf(listedOperationSchema), 'A page of operations.'), ...problems(400, 401, 404) },
})

/** `/v1/operations` */
export function operationRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi({ ...listOperationsRoute, middleware: allow('operations', 'see') }, async (c) => {
    const { limit, cursor, status, kind, tenant_id } = c.req.valid('query')
    const rows = await listOperations(services.pool, {
      status,
      kind,
      tenantId: tenant_id,
      before: decodeCursor('operations', cursor),
      limit: limit + 1,
    })
    const page = makePage(
      'operations',
      rows,
      limit,
      (row) => row.operation_id,
      (row) => ({ ...renderOperation(row), tenant_name: row.tenant_name }),
    )
    return c.json(page, 200)
  })
  app.openapi({ ...getOperationRoute, middleware: allow('operations', 'see') }, async (c) => {
    const row = await findOperation(services.pool, c.req.valid('param').operation_id)
    if (row === undefined) throw notFound()
    return c.json(renderOperation(row), 200)
  })
  return app
}
