import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { Problem } from '../../runtime/problem.ts'
import type { Change } from '../stores/change.ts'
import {
  deleteTenantKey,
  expireTenantKey,
  findTenantKey,
  insertTenantKey,
  limitTenantKey,
  listTenantKeys,
  type TenantKeyRow,
} from '../stores/tenant-key-store.ts'
import { findTenant, lockTenant, type TenantRow, updateTenant } from '../stores/tenant-store.ts'
import { allow, notFound } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { mutate } from './mutation.ts'
import { BEARER, json, jsonBody, problems } from './responses.ts'
import { listOf, tenantIdParamSchema, timestampSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

/** Keys that are good at once, at most: each is in the tenant's snapshot. */
const MAX_KEYS = 50
/** Requests per second: what no key needs, and an integer in Postgres holds. */
const MAX_RATE_LIMIT = 1_000_000
const DEFAULT_OVERLAP_SECONDS = 24 * 3_600
const MAX_OVERLAP_SECONDS = 30 * 86_400

const keyKind = z.enum(['anon', 'service'])
const rateLimit = z.number().int().min(1).max(MAX_RATE_LIMIT).nullable().openapi({
  description: "Requests per second with this key, beside the tenant's own limit; `null`: only the tenant's.",
})
const tenantKeySchema = z
  .object({
    key_id: z.string(),
    kind: keyKind,
    hint: z.string(),
    created_at: timestampSchema,
    expires_at: timestampSchema.nullable(),
    replaced_by: z.string().nullable(),
    rate_limit: rateLimit,
  })
  .openapi('TenantKey')
const shownKeySchema = tenantKeySchema
  .extend({ key: z.string() })
  .openapi('ShownTenantKey', { description: 'With the key itself, shown this once.' })
const limitSchema = z.strictObject({ rate_limit: rateLimit })
const keyParams = tenantIdParamSchema.extend({ key_id: z.string() })

const listRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/keys',
  summary: "List a tenant's keys",
  security: BEARER,
  request: { params: tenantIdParamSchema },
  responses: { 200: json(listOf(tenantKeySchema), 'All keys that are good now.'), ...problems(401, 404) },
})
const createKeyRoute = createRoute({
  method: 'post',
  path: '/v1/tenants/{tenant_id}/keys',
  summary: 'Make a further key',
  security: BEARER,
  request: {
    params: tenantIdParamSchema,
    body: jsonBody(z.strictObject({ kind: keyKind, rate_limit: rateLimit.optional() })),
  },
  responses: { 201: json(shownKeySchema, 'The key.'), ...problems(400, 401, 403, 404, 409, 415, 422) },
})
const limitRoute = createRoute({
  method: 'patch',
  path: '/v1/tenants/{tenant_id}/keys/{key_id}',
  summary: "Set a key's own rate limit; it is in force at every gateway at once",
  security: BEARER,
  request: {
    params: keyParams,
    body: {
      required: true,
      content: {
        'application/json': { schema: limitSchema },
        'application/merge-patch+json': { schema: limitSchema },
      },
    },
  },
  responses: { 200: json(tenantKeySchema, 'The key.'), ...problems(400, 401, 403, 404, 409, 415) },
})
const rotateRoute = createRoute({
  method: 'post',
  path: '/v1/tenants/{tenant_id}/keys/{key_id}/rotate',
  summary: 'Replace a key; the old one runs out after an overlap',
  security: BEARER,
  request: {
    params: keyParams,
    body: {
      content: {
        'application/json': {
          schema: z.strictObject({
            overlap_seconds: z.number().int().min(0).max(MAX_OVERLAP_SECONDS).default(DEFAULT_OVERLAP_SECONDS),
          }),
        },
      },
    },
  },
  responses: { 201: json(shownKeySchema, 'The new key.'), ...problems(400, 401, 403, 404, 409, 415, 422) },
})
const revokeRoute = createRoute({
  method: 'delete',
  path: '/v1/tenants/{tenant_id}/keys/{key_id}',
  summary: 'Revoke a key at once',
  security: BEARER,
  request: { params: keyParams },
  responses: { 204: { description: 'It opens nothing any more.' }, ...problems(401, 403, 404) },
})

/** `/v1/tenants/{tenant_id}/keys` */
export function tenantKeyRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })

  app.openapi({ ...listRoute, middleware: allow('tenantKeys', 'see') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    if ((await findTenant(services.pool, tenant_id)) === undefined) throw notFound()
    const rows = await listTenantKeys(services.pool, tenant_id)
    return c.json({ data: rows.map(renderKey), next_cursor: null }, 200)
  })

  app.openapi({ ...createKeyRoute, middleware: allow('tenantKeys', 'act') }, async (c) => {
    const { kind, rate_limit } = c.req.valid('json')
    const { body } = await changeKeys(c, services, c.req.valid('param').tenant_id, async (change, tenant) => {
      const made = await insertTenantKey(change, tenant.tenant_id, kind, rate_limit ?? null)
      return { status: 201, body: showKey(made), action: 'tenant_key.create', before: null, after: renderKey(made.row) }
    })
    return c.json(body, 201)
  })

  app.openapi({ ...limitRoute, middleware: allow('tenantKeys', 'act') }, async (c) => {
    const { tenant_id, key_id } = c.req.valid('param')
    const { rate_limit } = c.req.valid('json')
    const { body } = await changeKeys(c, services, tenant_id, async (change) => {
      const old = await findTenantKey(change.tx, tenant_id, key_id)
      if (old === undefined) throw notFound()
      const now = renderKey(await limitTenantKey(change, key_id, rate_limit))
      return { status: 200, body: now, action: 'tenant_key.limit', before: renderKey(old), after: now }
    })
    return c.json(body, 200)
  })

  app.openapi({ ...rotateRoute, middleware: allow('tenantKeys', 'act') }, async (c) => {
    const { tenant_id, key_id } = c.req.valid('param')
    const overlapSeconds = c.req.valid('json').overlap_seconds ?? DEFAULT_OVERLAP_SECONDS
    const { body } = await changeKeys(c, services, tenant_id, async (change) => {
      const old = await findTenantKey(change.tx, tenant_id, key_id)
      if (old === undefined) throw notFound()
      if (old.expires_at !== null)
        throw new Problem(409, 'key_rotated', {
          detail: 'This key was rotated before; rotate the one that replaced it.',
        })
      const made = await insertTenantKey(change, tenant_id, old.kind, old.rate_limit)
      const expiresAt = new Date(services.clock.nowMs() + overlapSeconds * 1_000)
      await expireTenantKey(change, old.key_id, expiresAt, made.row.key_id)
      return {
        status: 201,
        body: showKey(made),
        action: 'tenant_key.rotate',
        before: renderKey(old),
        after: renderKey(made.row),
      }
    })
    return c.json(body, 201)
  })

  app.openapi({ ...revokeRoute, middleware: allow('tenantKeys', 'act') }, async (c) => {
    const { tenant_id, key_id } = c.req.valid('param')
    await changeKeys(c, services, tenant_id, async (change) => {
      const old = await findTenantKey(change.tx, tenant_id, key_id)
      if (old === undefined) throw notFound()
      await deleteTenantKey(change, key_id)
      return { status: 204, body: null, action: 'tenant_key.revoke', before: renderKey(old), after: null }
    })
    return c.body(null, 204)
  })

  return app
}

type KeyChange<Body> = { status: number; body: Body; action: string; before: unknown; after: unknown }

/** Changes a tenant's keys under its lock and has the new set published. */
async function changeKeys<Body>(
  c: Context<AppEnv>,
  services: AppServices,
  tenantId: string,
  work: (change: Change, tenant: TenantRow) => Promise<KeyChange<Body>>,
) {
  return mutate(c, services, async (change) => {
    const tenant = await lockTenant(change, tenantId)
    if (tenant === undefined) throw notFound()
    if (tenant.status === 'deleting' || tenant.status === 'deleted' || tenant.status === 'failed')
      throw new Problem(409, 'tenant_not_changeable', { detail: `The tenant is ${tenant.status}.` })
    const { action, before, after, ...result } = await work(change, tenant)
    if ((await listTenantKeys(change.tx, tenantId)).length > MAX_KEYS)
      throw new Problem(409, 'too_many_keys', { detail: `A tenant has at most ${MAX_KEYS} keys.` })
    await updateTenant(change, tenantId, {})
    return { ...result, audit: { action, target: tenantId, before, after } }
  })
}

function renderKey(row: TenantKeyRow) {
  return {
    key_id: row.key_id,
    kind: row.kind,
    hint: row.hint,
    created_at: row.created_at.toISOString(),
    expires_at: row.expires_at?.toISOString() ?? null,
    replaced_by: row.replaced_by,
    rate_limit: row.rate_limit,
  }
}

function showKey(made: { row: TenantKeyRow; key: string }) {
  return { ...renderKey(made.row), key: made.key }
}
