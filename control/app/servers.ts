import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { listSharedServers, setDraining } from '../stores/server-store.ts'
import { allow, notFound } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { mutate } from './mutation.ts'
import { BEARER, json, jsonBody, problems } from './responses.ts'
import { listOf } from './schemas.ts'
import { validationHook } from './validation.ts'

const serverSchema = z
  .object({
    server: z.string(),
    tenants: z.number().int(),
    capacity: z.number().int().openapi({ description: 'Tenants that it takes at most.' }),
    documents_bytes: z.number().int().openapi({ description: 'What its tenants store, as last sampled.' }),
    max_connections: z.number().int(),
    draining: z.boolean().openapi({
      description:
        'It takes no further tenants, and those that it has are moved to others. It is empty once `tenants` is 0.',
    }),
  })
  .openapi('SharedServer')

const listRoute = createRoute({
  method: 'get',
  path: '/v1/servers',
  summary: 'List the servers of the shared tier and how full they are',
  security: BEARER,
  responses: { 200: json(listOf(serverSchema), 'All of them.'), ...problems(401, 404) },
})

const patchRoute = createRoute({
  method: 'patch',
  path: '/v1/servers/{server}',
  summary: 'Drain a server of the shared tier, or take it into use again',
  description:
    'The tenants of a draining server are moved to others while they serve, some at a time. Deleted ones stay until their ' +
    'retention is over. A tenant that could not be moved is tried again after ten minutes; its operation says why.',
  security: BEARER,
  request: {
    params: z.object({ server: z.string().max(64) }),
    body: jsonBody(z.strictObject({ draining: z.boolean() })),
  },
  responses: { 200: json(serverSchema, 'The server.'), ...problems(400, 401, 403, 404, 415) },
})

/** `/v1/servers` */
export function serverRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi({ ...listRoute, middleware: allow('operations', 'see') }, async (c) =>
    c.json({ data: await listSharedServers(services.pool), next_cursor: null }, 200),
  )
  app.openapi({ ...patchRoute, middleware: allow('tenants', 'act') }, async (c) => {
    const { server } = c.req.valid('param')
    const { draining } = c.req.valid('json')
    const { body } = await mutate(c, services, async (change) => {
      const was = await setDraining(change, server, draining)
      const body = (await listSharedServers(change.tx)).find((one) => one.server === server)
      if (was === undefined || body === undefined) throw notFound()
      return {
        status: 200 as const,
        body,
        audit: { action: 'server.update', target: server, before: { draining: was }, after: { draining } },
      }
    })
    return c.json(body, 200)
  })
  return app
}
