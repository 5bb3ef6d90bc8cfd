import { type Context, Hono } from 'hono'
import { createMiddleware } from 'hono/factory'
import { Problem } from '../../runtime/problem.ts'
import { CONTEXT_HEADER, type RequestContext } from '../../tenancy/request-context.ts'
import { EVENT_OF_ACTION } from '../outreach/events.ts'
import {
  type AccessGrantRow,
  decideAccessGrant,
  endAccessGrant,
  findAccessGrant,
  listAccessGrants,
} from '../stores/access-grant-store.ts'
import { type Actor, appendAudit, listAudit } from '../stores/audit-store.ts'
import { makeChange } from '../stores/change.ts'
import { findTenant } from '../stores/tenant-store.ts'
import { emitEvent } from '../stores/webhook-store.ts'
import { renderAccessGrant } from './access-grant-schemas.ts'
import { notFound } from './authentication.ts'
import { type AppServices, type AppVariables, addressOf } from './environment.ts'
import { sendExport } from './tenant-export.ts'

type TenantEnv = { Variables: AppVariables & { tenant: RequestContext } }
const LIMIT = 200

/**
 * `<name>.<domain>/platform/v1`: what a tenant itself decides about the platform, with its service key. The gateway has
 * verified the key and says so in the signed context; nothing else is believed.
 * - `GET /access-grants`, `GET /access-grants/{id}`: who asked for access, who has it, how often it was used
 * - `POST /access-grants/{id}/approve`, `/deny`, `/end`
 * - `GET /export`: its data as SQL
 * - `GET /audit-log`: every act of the platform on this tenant, the uses of grants among them
 */
export function tenantSideRoutes(services: AppServices) {
  const app = new Hono<TenantEnv>()
  const render = (row: AccessGrantRow) => renderAccessGrant(row, services.clock.nowMs())
  app.use('/platform/v1/*', requireServiceRole(services))

  app.get('/platform/v1/access-grants', async (c) => {
    const rows = await listAccessGrants(services.pool, c.var.tenant.tenant_id, { limit: LIMIT })
    return c.json({ data: rows.map(render), next_cursor: null })
  })

  app.get('/platform/v1/access-grants/:grant_id', async (c) => {
    const row = await findAccessGrant(services.pool, c.var.tenant.tenant_id, c.req.param('grant_id'))
    if (row === undefined) throw notFound()
    return c.json(render(row))
  })

  app.post('/platform/v1/access-grants/:grant_id/:decision{approve|deny|end}', async (c) => {
    const { tenant_id } = c.var.tenant
    const { grant_id, decision } = c.req.param()
    const actor = actorOfTenant(c)
    const row = await makeChange(services.pool, services.publish, async (change) => {
      const before = await findAccessGrant(change.tx, tenant_id, grant_id)
      if (before === undefined) throw notFound()
      const after =
        decision === 'end'
          ? await endAccessGrant(change, tenant_id, grant_id)
          : await decideAccessGrant(change, before, {
              status: decision === 'approve' ? 'approved' : 'denied',
              by: actor.actor,
            })
      if (after === undefined)
        throw new Problem(409, 'access_grant_over', {
          detail: `The grant is ${render(before).status}: it cannot be changed like this any more.`,
        })
      const action = `access_grant.${decision}`
      const event = EVENT_OF_ACTION[action]
      if (event !== undefined) await emitEvent(change, event, { target: tenant_id, after: render(after) })
      await appendAudit(change, actor, { action, target: tenant_id, before: render(before), after: render(after) })
      return after
    })
    return c.json(render(row))
  })

  app.get('/platform/v1/export', async (c) => {
    const { tenant_id } = c.var.tenant
    const tenant = await findTenant(services.pool, tenant_id)
    if (tenant === undefined) throw notFound()
    await makeChange(services.pool, services.publish, (change) =>
      appendAudit(change, actorOfTenant(c), { action: 'tenant.export', target: tenant_id, before: null, after: null }),
    )
    return sendExport(services, tenant)
  })

  app.get('/platform/v1/audit-log', async (c) => {
    const rows = await listAudit(services.pool, { target: c.var.tenant.tenant_id, limit: LIMIT })
    return c.json({
      data: rows.map(({ seq, at, actor, action, before, after }) => ({
        seq,
        at: at.toISOString(),
        actor,
        action,
        before,
        after,
      })),
      next_cursor: null,
    })
  })

  return app
}

function requireServiceRole(services: AppServices) {
  return createMiddleware<TenantEnv>(async (c, next) => {
    const tenant = readContext(services, c.req.header(CONTEXT_HEADER))
    if (tenant === undefined)
      throw new Problem(401, 'unauthorized', { detail: 'A valid service key of the tenant is needed.' })
    if (tenant.role !== 'service_role')
      throw new Problem(403, 'forbidden', { detail: "Only the tenant's service key may do this." })
    c.set('tenant', tenant)
    await next()
  })
}

function readContext(services: AppServices, header: string | undefined): RequestContext | undefined {
  if (header === undefined) return undefined
  try {
    return services.contexts.verify(header, services.clock.nowMs())
  } catch {
    return undefined
  }
}

function actorOfTenant(c: Context<TenantEnv>): Actor {
  const { key_id, tenant_id } = c.var.tenant
  return {
    actor: key_id === null ? `tenant:${tenant_id}` : `tenant-key:${key_id}`,
    address: addressOf(c.req.header('x-forwarded-for')),
    requestId: c.var.requestId,
  }
}
