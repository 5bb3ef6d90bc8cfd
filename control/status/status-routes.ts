import { createHash } from 'node:crypto'
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { notFound } from '../app/authentication.ts'
import type { AppEnv } from '../app/environment.ts'
import { json, problems } from '../app/responses.ts'
import { timestampSchema } from '../app/schemas.ts'
import { validationHook } from '../app/validation.ts'
import { STATUSES, type StatusDocument, type StatusReader } from './read-status.ts'
import { renderStatusPage, STATUS_STYLE } from './status-page.ts'

const statusSchema = z
  .object({
    tenant: z.string().nullable().openapi({ description: '`null`: the whole platform.' }),
    status: z.enum(STATUSES),
    as_of: timestampSchema,
    uptime: z.number().nullable(),
    days: z.array(z.object({ date: z.string(), uptime: z.number().nullable(), downtime_seconds: z.number().int() })),
    incidents: z
      .array(
        z.object({
          started_at: timestampSchema,
          ended_at: timestampSchema.nullable(),
          duration_seconds: z.number().int(),
        }),
      )
      .openapi({ description: "A tenant's; the platform's page shows none." }),
    maintenance: z.array(z.object({ starts_at: timestampSchema, ends_at: timestampSchema, reason: z.string() })),
  })
  .openapi('Status')

const platformRoute = createRoute({
  method: 'get',
  path: '/v1/status',
  summary: 'Status of the platform',
  description: 'Public. The page for people is `/status`.',
  responses: { 200: json(statusSchema, 'Now, and the last 90 days.') },
})
const tenantRoute = createRoute({
  method: 'get',
  path: '/v1/status/{name}',
  summary: 'Status of a tenant that has opened its status page',
  description: 'Public, where the tenant’s `public_status` is set. The page for people is `/status/{name}`.',
  request: { params: z.object({ name: z.string().max(64) }) },
  responses: { 200: json(statusSchema, 'Now, and the last 90 days.'), ...problems(404) },
})

/** Browsers and caches may keep an answer for that long. */
const CACHE = 'public, max-age=15'
const STYLE_HASH = createHash('sha256').update(STATUS_STYLE).digest('base64')
const PAGE_HEADERS = {
  'Cache-Control': CACHE,
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; frame-ancestors *; base-uri 'none'; form-action 'none'`,
}

/** `/v1/status`, `/status` and what lies below: without a key. A closed page is not told from one of a tenant that there is not. */
export function statusRoutes(reader: StatusReader): OpenAPIHono<AppEnv> {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  const ofTenant = async (name: string): Promise<StatusDocument> => {
    const status = await reader.readTenant(name)
    if (status === undefined) throw notFound()
    return status
  }
  const page = (c: Context<AppEnv>, status: StatusDocument) => c.html(renderStatusPage(status), 200, PAGE_HEADERS)
  app.openapi(platformRoute, async (c) => c.json(await reader.readPlatform(), 200, { 'Cache-Control': CACHE }))
  app.openapi(tenantRoute, async (c) =>
    c.json(await ofTenant(c.req.valid('param').name), 200, { 'Cache-Control': CACHE }),
  )
  app.get('/status', async (c) => page(c, await reader.readPlatform()))
  app.get('/status/:name', async (c) => page(c, await ofTenant(c.req.param('name'))))
  return app
}
