import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import { PLATFORM_ROLES, type PlatformKeyRow } from '../stores/platform-key-store.ts'
import { deleteSession, findSession, insertSession } from '../stores/session-store.ts'
import { ACCESS, type Access, type Area, verifyPlatformKey } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { mutate } from './mutation.ts'
import { BEARER, json, jsonBody, problems } from './responses.ts'
import { isEncrypted, requireSameOrigin } from './same-origin.ts'
import { timestampSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

/** How long a browser stays signed in. */
const SESSION_SECONDS = 12 * 3_600

const rights = z.object({ see: z.boolean(), act: z.boolean() })
const sessionSchema = z
  .object({
    key_id: z.string(),
    name: z.string(),
    role: z.enum(PLATFORM_ROLES),
    rights: z.record(z.string(), rights).openapi({ description: 'What the role may see and change, by area.' }),
    expires_at: timestampSchema.nullable().openapi({ description: 'When the session, or the key, runs out.' }),
  })
  .openapi('Session')

const signInRoute = createRoute({
  method: 'post',
  path: '/v1/session',
  summary: 'Sign a browser in with a platform key',
  description:
    'Sets an `HttpOnly`, `SameSite=Strict` cookie. Calls that change something with it need `X-CSRF-Protection: 1` and come ' +
    'from this origin. The session ends with the key.',
  request: { body: jsonBody(z.strictObject({ key: z.string().max(200) })) },
  responses: { 200: json(sessionSchema, 'Signed in.'), ...problems(400, 401, 403, 415) },
})
const whoRoute = createRoute({
  method: 'get',
  path: '/v1/session',
  summary: 'Who the caller is, and what it may do',
  security: BEARER,
  responses: {
    200: json(sessionSchema, 'The caller.'),
    204: { description: 'A browser that is not signed in.' },
    ...problems(401),
  },
})
const signOutRoute = createRoute({
  method: 'delete',
  path: '/v1/session',
  summary: 'Sign the browser out',
  security: BEARER,
  responses: { 204: { description: 'The cookie opens nothing any more.' }, ...problems(401, 403) },
})

/** The part of `/v1/session` that works without being signed in. */
export function signInRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi(signInRoute, async (c) => {
    requireSameOrigin(c)
    const principal = await verifyPlatformKey(c, services.pool, services.failedKeys, c.req.valid('json').key.trim())
    c.set('principal', principal)
    const expiresAt = new Date(services.clock.nowMs() + SESSION_SECONDS * 1_000)
    const { body: made } = await mutate(c, services, async (change) => {
      const session = await insertSession(change, principal.key_id, expiresAt)
      const audit = { action: 'session.create', target: principal.key_id, before: null, after: null }
      return { status: 200 as const, body: session, audit }
    })
    setCookie(c, cookieName(c), made.token, { ...cookieOptions(c), maxAge: SESSION_SECONDS })
    return c.json(renderSession(principal, made.row.expires_at), 200)
  })
  // Not being signed in is no fault: the dashboard asks before it shows its door.
  app.get('/v1/session', async (c, next) => {
    if (c.req.header('authorization') === undefined && (await findSessionOf(c, services)) === undefined)
      return c.body(null, 204)
    await next()
  })
  return app
}

/** The part of `/v1/session` behind it. */
export function sessionRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi(whoRoute, (c) =>
    c.json(renderSession(c.var.principal, c.var.session?.expires_at ?? c.var.principal.expires_at), 200),
  )
  app.openapi(signOutRoute, async (c) => {
    const { session, principal } = c.var
    if (session !== undefined)
      await mutate(c, services, async (change) => {
        await deleteSession(change, session.session_id)
        const audit = { action: 'session.end', target: principal.key_id, before: null, after: null }
        return { status: 204 as const, body: null, audit }
      })
    deleteCookie(c, cookieName(c), cookieOptions(c))
    return c.body(null, 204)
  })
  return app
}

/** Finds the session that the request's cookie opens; what changes something must come from our own pages. */
export async function findSessionOf(c: Context<AppEnv>, services: Pick<AppServices, 'pool'>) {
  const token = getCookie(c, cookieName(c))
  if (token === undefined || token === '') return undefined
  if (c.req.method !== 'GET' && c.req.method !== 'HEAD') requireSameOrigin(c)
  return findSession(services.pool, token)
}

/** `__Host-` binds the cookie to this very host, so that a tenant's page cannot plant one; browsers take it over TLS only. */
function cookieName(c: Context<AppEnv>): string {
  return isEncrypted(c) ? '__Host-aerodb_session' : 'aerodb_session'
}

function cookieOptions(c: Context<AppEnv>) {
  return { path: '/', httpOnly: true, sameSite: 'Strict', secure: isEncrypted(c) } as const
}

function renderSession(key: PlatformKeyRow, expiresAt: Date | null) {
  const areas = Object.entries(ACCESS) as [Area, Access][]
  return {
    key_id: key.key_id,
    name: key.name,
    role: key.role,
    rights: Object.fromEntries(
      areas.map(([area, { see, act }]) => [area, { see: see.includes(key.role), act: act.includes(key.role) }]),
    ),
    expires_at: expiresAt?.toISOString() ?? null,
  }
}
