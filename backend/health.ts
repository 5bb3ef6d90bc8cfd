import { Hono } from 'hono'
import { HEALTH_STATEMENT } from '../tenancy/platform-statements.ts'
import { contextStatement } from './postgres/principal.ts'
import type { Servers } from './postgres/servers.ts'
import type { TenantVariables } from './request-contexts.ts'

/** `GET /health` of a tenant: whether its database answers as the tenant's own role. */
export function healthApi(servers: Servers) {
  const app = new Hono<{ Variables: TenantVariables }>()
  app.get('/', async (c) => {
    const { context, server, principal } = c.get('caller')
    let database = 'ok'
    try {
      const { requests } = await servers.find(server)
      await requests.run(principal.tenantId, [contextStatement(principal), { text: HEALTH_STATEMENT, values: [] }])
    } catch (fault) {
      c.get('log').warn({ err: fault, tenant_id: context.tenant_id }, 'the tenant database does not answer')
      database = 'unavailable'
    }
    const isOk = database === 'ok'
    return c.json(
      { status: isOk ? 'ok' : 'unavailable', tenant: context.name, checks: { database } },
      isOk ? 200 : 503,
      isOk ? {} : { 'Retry-After': '2' },
    )
  })
  return app
}
