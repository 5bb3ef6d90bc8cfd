import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { Problem } from '../../runtime/problem.ts'
import { findGrantInForce, useAccessGrant } from '../stores/access-grant-store.ts'
import { appendAudit } from '../stores/audit-store.ts'
import { makeChange } from '../stores/change.ts'
import { findTenant, type TenantRow } from '../stores/tenant-store.ts'
import { allow, notFound } from './authentication.ts'
import { type AppEnv, type AppServices, actorOf } from './environment.ts'
import { BEARER, problems } from './responses.ts'
import { tenantIdParamSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

/** RFC 6922. */
const SQL = 'application/sql'

const exportRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/export',
  summary: "Export a tenant's data as SQL for psql",
  description:
    "It is the tenant's data: the caller needs an access grant that the tenant has approved (the tenant itself asks at " +
    '`<name>.<domain>/platform/v1/export` with its service key). The dump is streamed while it is read, of one moment, and loads ' +
    'into a plain Postgres with `psql -v ON_ERROR_STOP=1 -f` in one transaction; one whose last line is not `-- The dump is complete.` was cut off. Files are not in it.',
  security: BEARER,
  request: { params: tenantIdParamSchema },
  responses: {
    200: { description: 'SQL.', content: { [SQL]: { schema: z.string() } } },
    ...problems(401, 403, 404, 409, 503),
  },
})

/** `/v1/tenants/{tenant_id}/export` */
export function tenantExportRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi({ ...exportRoute, middleware: allow('accessGrants', 'act') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    const actor = actorOf(c)
    const tenant = await findTenant(services.pool, tenant_id)
    if (tenant === undefined) throw notFound()
    await makeChange(services.pool, services.publish, async (change) => {
      const grantId = await findGrantInForce(change.tx, tenant_id, actor.actor)
      const use = { tenantId: tenant_id, grantId: grantId ?? '', caller: actor.actor, isWrite: false }
      const grant = await useAccessGrant(change, use)
      if (grant === undefined)
        throw new Problem(403, 'access_grant_required', {
          detail:
            'An export reads the data of the tenant: ask for an access grant, and have it approved by the tenant.',
        })
      const after = { grant_id: grantId, method: 'GET', path: '/export' }
      await appendAudit(change, actor, { action: 'access_grant.use', target: tenant_id, before: null, after })
    })
    return sendExport(services, tenant)
  })
  return app
}

/** The dump as an answer. @throws Problem 409 for a tenant that has no data to read now. */
export async function sendExport(services: AppServices, tenant: TenantRow): Promise<Response> {
  if (tenant.server === null || !['active', 'suspended', 'paused', 'migrating'].includes(tenant.status))
    throw new Problem(409, 'tenant_not_exportable', {
      detail: `The tenant is ${tenant.status}: it can be exported once it is active.`,
    })
  const body = await services.openExport(tenant)
  const date = new Date(services.clock.nowMs()).toISOString().slice(0, 10)
  return new Response(body, {
    headers: {
      'Content-Type': SQL,
      'Content-Disposition': `attachment; filename="${tenant.name}-${date}.sql"`,
      'Cache-Control': 'no-store',
    },
  })
}
