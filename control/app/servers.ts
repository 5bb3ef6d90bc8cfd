import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { listSharedServers } from '../stores/server-store.ts'
import { allow } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { BEARER, json, problems } from './responses.ts'
import { listOf } from './schemas.ts'
import { validationHook } from './validation.ts'

const serverSchema = z
  .object({
    server: z.string(),
    tenants: z.number().int(),
    capacity: z.number().int().openapi({ description: 'Tenants that it takes at most.' }),
    documents_bytes: z.number().int().openapi({ description: 'What its tenants store, as last sampled.' }),
    max_connections: z.number().int(),
    draining: z.boolean().openapi({ description: 'It takes no further tenants.' }),
  })
  .openapi('SharedServer')

const listRoute = createRoute({
  method: 'get',
  path: '/v1/servers',
  summary: 'List the servers of the shared tier and how full they are',
  security: BEARER,
  responses: { 200: json(listOf(serverSchema), 'All of them.'), ...problems(401, 404) },
})

/** `/v1/servers` */
export function serverRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi({ ...listRoute, middleware: allow('operations', 'see') }, async (c) =>
    c.json({ data: await listSharedServers(services.pool), next_cursor: null }, 200),
  )
  return app
}
