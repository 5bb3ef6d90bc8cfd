import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { findTenant } from '../stores/tenant-store.ts'
import { allow, notFound } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { BEARER, json, problems } from './responses.ts'
import { listOf, tenantIdParamSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const nodeSchema = z
  .object({
    node: z.number().int(),
    role: z.enum(['primary', 'standby', 'rebuilding']),
    state: z.enum(['serving', 'streaming', 'catching_up', 'down']),
    is_in_quorum: z.boolean().openapi({
      description: 'Before the primary acknowledges a commit, one of these has it on its disk.',
    }),
    lag_bytes: z.number().nullable().openapi({ description: 'How much log its readers do not see yet.' }),
    lag_seconds: z.number().nullable(),
  })
  .openapi('TenantNode')

const listRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/nodes',
  summary: 'List the nodes of a cluster tenant, each with its role and how far it is behind',
  description: 'Empty for a tenant of another isolation, and for a deleted one.',
  security: BEARER,
  request: { params: tenantIdParamSchema },
  responses: { 200: json(listOf(nodeSchema), 'All of them.'), ...problems(401, 404) },
})

/** `/v1/tenants/{tenant_id}/nodes` */
export function tenantNodeRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi({ ...listRoute, middleware: allow('tenants', 'see') }, async (c) => {
    const tenant = await findTenant(services.pool, c.req.valid('param').tenant_id)
    if (tenant === undefined) throw notFound()
    const data = await services.readNodes(tenant)
    return c.json({ data, next_cursor: null }, 200)
  })
  return app
}
