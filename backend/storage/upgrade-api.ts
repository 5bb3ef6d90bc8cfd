import { Hono } from 'hono'
import { z } from 'zod'
import { Problem } from '../../runtime/problem.ts'
import { isTenantId, tenantSchemaName } from '../../tenancy/tenant.ts'
import type { Servers } from '../postgres/servers.ts'
import { STORAGE_TABLES_VERSION, storageTableStatements } from './tables.ts'

const bodySchema = z.strictObject({ server: z.string().min(1) })

/**
 * For control, which brings the tenants' objects up to date one after the other:
 * - `GET /` → `{"version"}`: of the tables that this backend knows
 * - `POST /{tenant_id}` `{"server"}` → the same, once that tenant's tables are of it. A tenant without files has none.
 * @param isControl whether the request comes from control.
 */
export function upgradeApi(servers: Servers, isControl: (token: string | undefined) => boolean, tokenHeader: string) {
  const app = new Hono()
  app.use(async (c, next) => {
    if (!isControl(c.req.header(tokenHeader))) throw new Problem(404, 'not_found')
    await next()
  })
  app.get('/', (c) => c.json({ version: STORAGE_TABLES_VERSION }))
  app.post('/:tenant_id', async (c) => {
    const tenantId = c.req.param('tenant_id')
    const body = bodySchema.safeParse(await c.req.json().catch(() => undefined))
    if (!isTenantId(tenantId) || !body.success) throw new Problem(400, 'malformed_request')
    const schema = tenantSchemaName(tenantId)
    const { ddl } = await servers.findFor(tenantId, body.data.server)
    const found = await ddl.run(tenantId, [
      { text: `select to_regclass(format('%I._storage_buckets', $1::text)) is not null`, values: [schema] },
    ])
    if (found.rows[0]?.[0] === 't') await ddl.run(tenantId, storageTableStatements(schema))
    return c.json({ version: STORAGE_TABLES_VERSION })
  })
  return app
}
