import { OpenAPIHono } from '@hono/zod-openapi'
import { Problem } from '../../runtime/problem.ts'
import { effectiveQuotas } from '../../tenancy/plan.ts'
import { CONTEXT_HEADER, CONTEXT_LIFETIME_MS } from '../../tenancy/request-context.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import { useAccessGrant } from '../stores/access-grant-store.ts'
import { appendAudit } from '../stores/audit-store.ts'
import { makeChange } from '../stores/change.ts'
import { findTenant } from '../stores/tenant-store.ts'
import { allow, notFound } from './authentication.ts'
import { type AppEnv, type AppServices, actorOf } from './environment.ts'

const READS: readonly string[] = ['GET', 'HEAD']
const TIMEOUT_MS = 30_000
/** What goes on to the backend, and what comes back. The credentials of the operator never do. */
const REQUEST_HEADERS = ['accept', 'accept-profile', 'content-type', 'prefer', 'range', 'range-unit'] as const
const RESPONSE_HEADERS = ['content-type', 'content-range', 'location', 'preference-applied'] as const

/**
 * `/v1/tenants/{tenant_id}/access-grants/{grant_id}/rest/v1/...`: the tenant's data as an approved grant opens it, to the
 * operator who asked. Each use is noted, with method and path, before it reaches the data; a read-only grant lets reads through
 * and nothing else. Calls that are not covered by a grant in force are 404, like everything the caller may not see.
 */
export function grantedAccessRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>()
  const prefix = '/v1/tenants/:tenant_id/access-grants/:grant_id'
  app.all(`${prefix}/rest/v1/*`, allow('accessGrants', 'act'), async (c) => {
    const [backendUrl] = services.backendUrls
    if (backendUrl === undefined)
      throw new Problem(501, 'granted_access_not_available', {
        detail: 'This platform does not let its operators at data: AERODB_BACKEND_URLS is not set.',
      })
    const { tenant_id, grant_id } = c.req.param()
    const url = new URL(c.req.url)
    const from = url.pathname.indexOf('/rest/v1/')
    // Dot segments have led out of it.
    if (from < 0) throw notFound()
    const path = url.pathname.slice(from)
    const isWrite = !READS.includes(c.req.method)
    const actor = actorOf(c)
    const tenant = await findTenant(services.pool, tenant_id)
    if (tenant === undefined || tenant.server === null) throw notFound()
    await makeChange(services.pool, services.publish, async (change) => {
      const grant = await useAccessGrant(change, {
        tenantId: tenant_id,
        grantId: grant_id,
        caller: actor.actor,
        isWrite,
      })
      if (grant === undefined) throw notFound()
      const after = { grant_id, method: c.req.method, path: path + url.search }
      await appendAudit(change, actor, { action: 'access_grant.use', target: tenant_id, before: null, after })
    })
    const schema = tenantSchemaName(tenant_id)
    const plan = services.catalogue.find(tenant.plan) ?? services.catalogue.defaultPlan
    const quotas = effectiveQuotas(plan, tenant.quotas)
    const context = services.contexts.sign({
      tenant_id,
      name: tenant.name,
      isolation: tenant.isolation,
      placement: { server: tenant.server, schema, role: schema },
      role: 'service_role',
      key_id: null,
      claims: { role: 'service_role', access_grant: grant_id },
      quotas: { storage_bytes: quotas.storage_bytes, file_storage_bytes: quotas.file_storage_bytes },
      expires_at: services.clock.nowMs() + CONTEXT_LIFETIME_MS,
    })
    const headers = new Headers({ [CONTEXT_HEADER]: context, 'x-request-id': c.var.requestId })
    for (const name of REQUEST_HEADERS) {
      const value = c.req.header(name)
      if (value !== undefined) headers.set(name, value)
    }
    const answer = await ask(new URL(path + url.search, backendUrl), {
      method: c.req.method,
      headers,
      ...(isWrite ? { body: await c.req.arrayBuffer() } : {}),
    })
    const shown = new Headers({ 'x-request-id': c.var.requestId })
    for (const name of RESPONSE_HEADERS) {
      const value = answer.headers.get(name)
      if (value !== null) shown.set(name, value)
    }
    return new Response(answer.body, { status: answer.status, headers: shown })
  })
  return app
}

async function ask(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) })
  } catch (fault) {
    throw new Problem(503, 'backend_unavailable', {
      detail: 'The data cannot be reached at the moment.',
      headers: { 'Retry-After': '5' },
      cause: fault,
    })
  }
}
