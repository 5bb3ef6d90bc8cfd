import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { makeId } from '../../runtime/ids.ts'
import { Problem } from '../../runtime/problem.ts'
import { allow, notFound } from '../app/authentication.ts'
import { decodeCursor, makePage } from '../app/cursor.ts'
import type { AppEnv, AppServices } from '../app/environment.ts'
import { mutate } from '../app/mutation.ts'
import { BEARER, json, jsonBody, problems } from '../app/responses.ts'
import { listOf, pageQuerySchema, timestampSchema } from '../app/schemas.ts'
import { validationHook } from '../app/validation.ts'
import { ALERT_SEVERITIES } from '../stores/alert-store.ts'
import { endSilence, insertSilence, listSilences, type SilenceRow } from './silence-store.ts'

/** Nothing is silenced for ever by mistake. */
const MAX_LENGTH_MS = 90 * 86_400_000

const matcherSchema = z
  .strictObject({
    kind: z.string().min(1).max(64).optional(),
    severity: z.enum(ALERT_SEVERITIES).optional(),
    tenant_id: z.string().min(1).max(64).optional(),
    group: z.string().min(1).max(300).optional(),
  })
  .refine((matcher) => Object.keys(matcher).length > 0, 'must name at least one of kind, severity, tenant_id, group')
  .openapi('AlertMatcher', { description: 'What is named must be equal; at least one must be.' })
const silenceSchema = z
  .object({
    silence_id: z.string(),
    matcher: matcherSchema,
    starts_at: timestampSchema,
    ends_at: timestampSchema,
    reason: z.string(),
    created_at: timestampSchema,
  })
  .openapi('Silence')
const createSchema = z
  .strictObject({
    matcher: matcherSchema,
    starts_at: z.iso.datetime({ offset: true }).optional().openapi({ description: 'Now, where it is not given.' }),
    ends_at: z.iso.datetime({ offset: true }),
    reason: z.string().min(1).max(300),
  })
  .openapi('CreateSilence')

const listRoute = createRoute({
  method: 'get',
  path: '/v1/silences',
  summary: 'List silences, newest first',
  security: BEARER,
  request: { query: pageQuerySchema },
  responses: { 200: json(listOf(silenceSchema), 'A page of silences.'), ...problems(400, 401, 404) },
})
const createSilenceRoute = createRoute({
  method: 'post',
  path: '/v1/silences',
  summary: 'Have alerts not told for a while',
  description:
    'Matching alerts are listed, but told only if they are still open when the silence ends. The end of one that was told is told all the same.',
  security: BEARER,
  request: { body: jsonBody(createSchema) },
  responses: { 201: json(silenceSchema, 'The silence.'), ...problems(400, 401, 403, 404, 415, 422) },
})
const endRoute = createRoute({
  method: 'delete',
  path: '/v1/silences/{silence_id}',
  summary: 'End a silence now',
  security: BEARER,
  request: { params: z.object({ silence_id: z.string() }) },
  responses: { 204: { description: 'It is over.' }, ...problems(401, 403, 404) },
})

/** `/v1/silences` */
export function silenceRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })

  app.openapi({ ...listRoute, middleware: allow('alerts', 'see') }, async (c) => {
    const { limit, cursor } = c.req.valid('query')
    const before = decodeCursor('silences', cursor)
    const rows = await listSilences(services.pool, { before, limit: limit + 1 })
    return c.json(
      makePage('silences', rows, limit, (row) => row.silence_id, renderSilence),
      200,
    )
  })

  app.openapi({ ...createSilenceRoute, middleware: allow('alerts', 'act') }, async (c) => {
    const { matcher, starts_at, ends_at, reason } = c.req.valid('json')
    const startsMs = starts_at === undefined ? services.clock.nowMs() : Date.parse(starts_at)
    const endsMs = Date.parse(ends_at)
    const refuse = (message: string) =>
      new Problem(400, 'validation_failed', {
        detail: 'The silence cannot be made.',
        errors: [{ path: 'ends_at', message }],
      })
    if (endsMs <= startsMs) throw refuse('must be later than starts_at')
    if (endsMs - startsMs > MAX_LENGTH_MS) throw refuse('must be at most 90 days after starts_at')
    const { body } = await mutate(c, services, async (change) => {
      const row = await insertSilence(change, {
        silence_id: makeId('sil'),
        kind: matcher.kind ?? null,
        severity: matcher.severity ?? null,
        tenant_id: matcher.tenant_id ?? null,
        group_key: matcher.group ?? null,
        starts_at: new Date(startsMs),
        ends_at: new Date(endsMs),
        reason,
      })
      const shown = renderSilence(row)
      return {
        status: 201 as const,
        body: shown,
        audit: { action: 'silence.create', target: row.silence_id, before: null, after: shown },
      }
    })
    return c.json(body, 201)
  })

  app.openapi({ ...endRoute, middleware: allow('alerts', 'act') }, async (c) => {
    const { silence_id } = c.req.valid('param')
    await mutate(c, services, async (change) => {
      const row = await endSilence(change, silence_id, new Date(services.clock.nowMs()))
      if (row === undefined) throw notFound()
      return {
        status: 204 as const,
        body: null,
        audit: { action: 'silence.end', target: silence_id, before: renderSilence(row), after: null },
      }
    })
    return c.body(null, 204)
  })
  return app
}

function renderSilence(row: SilenceRow) {
  return {
    silence_id: row.silence_id,
    matcher: {
      ...(row.kind === null ? {} : { kind: row.kind }),
      ...(row.severity === null ? {} : { severity: row.severity as (typeof ALERT_SEVERITIES)[number] }),
      ...(row.tenant_id === null ? {} : { tenant_id: row.tenant_id }),
      ...(row.group_key === null ? {} : { group: row.group_key }),
    },
    starts_at: row.starts_at.toISOString(),
    ends_at: row.ends_at.toISOString(),
    reason: row.reason,
    created_at: row.created_at.toISOString(),
  }
}
