import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { findOperation } from '../stores/operation-store.ts'
import { allow, notFound } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { renderOperation } from './render.ts'
import { BEARER, json, problems } from './responses.ts'
import { operationSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const getOperationRoute = createRoute({
  method: 'get',
  path: '/v1/operations/{operation_id}',
  summary: 'Read an operation',
  description: 'Every operation ends, by `deadline_at`, as succeeded or failed.',
  security: BEARER,
  request: { params: z.object({ operation_id: z.string() }) },
  responses: { 200: json(operationSchema, 'The operation.'), ...problems(401, 404) },
})

/** `/v1/operations` */
export function operationRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi({ ...getOperationRoute, middleware: allow('operations', 'see') }, async (c) => {
    const row = await findOperation(services.pool, c.req.valid('param').operation_id)
    if (row === undefined) throw notFound()
    return c.json(renderOperation(row), 200)
  })
  return app
}
