import { Hono } from 'hono'
import { Problem } from '../../runtime/problem.ts'
import { SERVICE_TOKEN_HEADER } from '../../runtime/service-token.ts'
import { notFound } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'

/**
 * What our own services ask of control, with a service token:
 * - `POST /internal/v1/tenants/{id}/wake` → `{"tenant_id","status"}`: a paused tenant's server is started and the tenant is
 *   `active` when it answers; any other tenant is left as it is and its status told. Asked by a gateway (or backend) that
 *   holds a request for a paused tenant; any number may ask at once.
 */
export function internalRoutes(services: AppServices) {
  const app = new Hono<AppEnv>()
  app.use('/internal/*', async (c, next) => {
    const caller = services.tokens.verify(c.req.header(SERVICE_TOKEN_HEADER), services.clock.nowMs())
    if (caller === undefined)
      throw new Problem(401, 'unauthorized', { detail: 'Only services of the platform may call this.' })
    await next()
  })
  app.post('/internal/v1/tenants/:tenant_id/wake', async (c) => {
    const tenantId = c.req.param('tenant_id')
    const status = await services.wake(tenantId)
    if (status === undefined) throw notFound()
    return c.json({ tenant_id: tenantId, status })
  })
  return app
}
