import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { Problem } from '../../runtime/problem.ts'
import {
  deletePlatformKey,
  insertPlatformKey,
  listPlatformKeys,
  lockOwnerKeys,
  PLATFORM_ROLES,
  type PlatformKeyRow,
} from '../stores/platform-key-store.ts'
import { allow, notFound } from './authentication.ts'
import { decodeCursor, makePage } from './cursor.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { mutate } from './mutation.ts'
import { BEARER, json, jsonBody, problems } from './responses.ts'
import { listOf, pageQuerySchema, timestampSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const platformKeySchema = z
  .object({
    key_id: z.string(),
    name: z.string(),
    role: z.enum(PLATFORM_ROLES),
    hint: z.string(),
    created_at: timestampSchema,
    expires_at: timestampSchema.nullable(),
    last_used_at: timestampSchema.nullable(),
  })
  .openapi('PlatformKey')
const shownPlatformKeySchema = platformKeySchema
  .extend({ key: z.string() })
  .openapi('ShownPlatformKey', { description: 'With the key itself, shown this once.' })
const createSchema = z
  .strictObject({
    name: z.string().min(1).max(100),
    role: z.enum(PLATFORM_ROLES),
    expires_at: z.iso.datetime({ offset: true }).nullable().optional(),
  })
  .openapi('CreatePlatformKey')

const listRoute = createRoute({
  method: 'get',
  path: '/v1/platform-keys',
  summary: 'List the platform keys that are good now',
  security: BEARER,
  request: { query: pageQuerySchema },
  responses: { 200: json(listOf(platformKeySchema), 'A page of keys.'), ...problems(400, 401, 404) },
})
const createKeyRoute = createRoute({
  method: 'post',
  path: '/v1/platform-keys',
  summary: 'Make a platform key',
  security: BEARER,
  request: { body: jsonBody(createSchema) },
  responses: { 201: json(shownPlatformKeySchema, 'The key.'), ...problems(400, 401, 404, 415, 422) },
})
const revokeRoute = createRoute({
  method: 'delete',
  path: '/v1/platform-keys/{key_id}',
  summary: 'Revoke a platform key at once',
  security: BEARER,
  request: { params: z.object({ key_id: z.string() }) },
  responses: { 204: { description: 'It opens nothing any more.' }, ...problems(401, 404, 409) },
})

/** `/v1/platform-keys` */
export function platformKeyRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })

  app.openapi({ ...listRoute, middleware: allow('platformKeys', 'see') }, async (c) => {
    const { limit, cursor } = c.req.valid('query')
    const before = decodeCursor('platform-keys', cursor)
    const rows = await listPlatformKeys(services.pool, { before, limit: limit + 1 })
    return c.json(
      makePage('platform-keys', rows, limit, (row) => row.key_id, renderKey),
      200,
    )
  })

  app.openapi({ ...createKeyRoute, middleware: allow('platformKeys', 'act') }, async (c) => {
    const { name, role, expires_at } = c.req.valid('json')
    const expiresAt = typeof expires_at === 'string' ? new Date(expires_at) : null
    if (expiresAt !== null && expiresAt.getTime() <= services.clock.nowMs())
      throw new Problem(400, 'validation_failed', {
        detail: 'The key would be over at once.',
        errors: [{ path: 'expires_at', message: 'must lie in the future' }],
      })
    const { body } = await mutate(c, services, async (change) => {
      const made = await insertPlatformKey(change, { name, role, expiresAt })
      const shown = renderKey(made.row)
      return {
        status: 201 as const,
        body: { ...shown, key: made.key },
        audit: { action: 'platform_key.create', target: made.row.key_id, before: null, after: shown },
      }
    })
    return c.json(body, 201)
  })

  app.openapi({ ...revokeRoute, middleware: allow('platformKeys', 'act') }, async (c) => {
    const { key_id } = c.req.valid('param')
    await mutate(c, services, async (change) => {
      const owners = await lockOwnerKeys(change)
      if (owners.length === 1 && owners[0] === key_id)
        throw new Problem(409, 'last_owner_key', {
          detail: 'The last owner key cannot be revoked: make another first.',
        })
      const row = await deletePlatformKey(change, key_id)
      if (row === undefined) throw notFound()
      return {
        status: 204 as const,
        body: null,
        audit: { action: 'platform_key.revoke', target: key_id, before: renderKey(row), after: null },
      }
    })
    return c.body(null, 204)
  })

  return app
}

function renderKey(row: PlatformKeyRow) {
  return {
    key_id: row.key_id,
    name: row.name,
    role: row.role,
    hint: row.hint,
    created_at: row.created_at.toISOString(),
    expires_at: row.expires_at?.toISOString() ?? null,
    last_used_at: row.last_used_at?.toISOString() ?? null,
  }
}
