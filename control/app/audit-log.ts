import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { findBrokenAuditEntry, listAudit } from '../stores/audit-store.ts'
import { allow } from './authentication.ts'
import { decodeCursor, makePage } from './cursor.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { BEARER, json, problems } from './responses.ts'
import { listOf, pageQuerySchema, timestampSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const entrySchema = z
  .object({
    seq: z.number().int(),
    at: timestampSchema,
    actor: z.string(),
    action: z.string(),
    target: z.string(),
    before: z.unknown(),
    after: z.unknown(),
    address: z.string().nullable(),
    request_id: z.string().nullable(),
    previous_hash: z.string(),
    hash: z.string().openapi({ description: 'SHA-256 over the entry and the hash of the one before it.' }),
  })
  .openapi('AuditEntry')

const listRoute = createRoute({
  method: 'get',
  path: '/v1/audit-log',
  summary: 'Who changed what, newest first',
  security: BEARER,
  request: {
    query: pageQuerySchema.extend({ target: z.string().max(100).optional(), action: z.string().max(100).optional() }),
  },
  responses: { 200: json(listOf(entrySchema), 'A page of entries.'), ...problems(400, 401, 404) },
})
const verifyRoute = createRoute({
  method: 'get',
  path: '/v1/audit-log/verification',
  summary: 'Check the chain of hashes from its beginning',
  security: BEARER,
  responses: {
    200: json(
      z.object({ intact: z.boolean(), first_broken_seq: z.number().int().nullable() }),
      'Whether every entry fits the one before it.',
    ),
    ...problems(401, 404),
  },
})

/** `/v1/audit-log` */
export function auditLogRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })

  app.openapi({ ...listRoute, middleware: allow('auditLog', 'see') }, async (c) => {
    const { limit, cursor, target, action } = c.req.valid('query')
    const position = decodeCursor('audit-log', cursor)
    const before = position === undefined ? undefined : Number(position)
    const rows = await listAudit(services.pool, { target, action, before, limit: limit + 1 })
    const page = makePage(
      'audit-log',
      rows,
      limit,
      (row) => String(row.seq),
      (row) => ({
        ...row,
        at: row.at.toISOString(),
      }),
    )
    return c.json(page, 200)
  })

  app.openapi({ ...verifyRoute, middleware: allow('auditLog', 'see') }, async (c) => {
    const broken = await findBrokenAuditEntry(services.pool)
    return c.json({ intact: broken === undefined, first_broken_seq: broken ?? null }, 200)
  })

  return app
}
