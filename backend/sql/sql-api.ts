import { Hono } from 'hono'
import { z } from 'zod'
import { Problem } from '../../runtime/problem.ts'
import type { Servers } from '../postgres/servers.ts'
import type { TenantVariables } from '../request-contexts.ts'
import { runSql, type SqlLimits } from './run-sql.ts'

const inputSchema = z.strictObject({
  query: z.string().min(1).max(1_000_000),
  params: z.array(z.json()).max(65_535).optional(),
})

/** Connections that the SQL of one tenant may hold at once. */
const MAX_RUNNING = 4

/** `POST /sql/v1`: for the service role of a tenant that has a database of its own. */
export function sqlApi(servers: Servers, limits: SqlLimits) {
  const running = new Map<string, number>()
  const app = new Hono<{ Variables: TenantVariables }>()
  app.post('/', async (c) => {
    const { context, server, principal } = c.get('caller')
    if (context.role !== 'service_role')
      throw new Problem(403, 'service_role_required', { detail: 'SQL takes a service key.' })
    if (context.isolation === 'schema')
      throw new Problem(403, 'sql_not_available', {
        detail: 'SQL is for tenants with a database of their own (isolation database or cluster).',
      })
    const parsed = inputSchema.safeParse(await c.req.json().catch(() => undefined))
    if (!parsed.success)
      throw new Problem(400, 'validation_failed', {
        detail: 'The body is not valid.',
        errors: parsed.error.issues.map((issue) => ({ path: issue.path.join('.'), message: issue.message })),
      })
    const { ddlTarget } = await servers.find(server)
    const busy = running.get(server) ?? 0
    if (busy >= MAX_RUNNING)
      throw new Problem(503, 'database_busy', {
        detail: `At most ${MAX_RUNNING} SQL requests run at once.`,
        headers: { 'Retry-After': '1' },
      })
    running.set(server, busy + 1)
    try {
      return c.json(
        await runSql(ddlTarget, principal, { query: parsed.data.query, params: parsed.data.params }, limits),
      )
    } catch (fault) {
      // It is not taken along to the new server, which may be a shared one: the next request is judged anew.
      if ((await servers.follow(principal.tenantId, server).catch(() => undefined)) !== undefined)
        throw new Problem(503, 'tenant_migrating', {
          detail: 'This tenant has just been moved to another server. Try again.',
          headers: { 'Retry-After': '1' },
          cause: fault,
        })
      throw fault
    } finally {
      const left = (running.get(server) ?? 1) - 1
      if (left === 0) running.delete(server)
      else running.set(server, left)
    }
  })
  return app
}
