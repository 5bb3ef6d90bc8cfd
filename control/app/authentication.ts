import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { FailedAttempts } from '../../runtime/failed-attempts.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { Problem } from '../../runtime/problem.ts'
import { digestKey, parseKeyKind } from '../../tenancy/key.ts'
import {
  findPlatformKeyByDigest,
  notePlatformKeyUse,
  type PlatformKeyRow,
  type PlatformRole,
} from '../stores/platform-key-store.ts'
import type { SessionRow } from '../stores/session-store.ts'
import { type AppEnv, addressOf } from './environment.ts'

/** Uses are noted in batches of this many milliseconds, once per key: reading must not cost a write. */
const NOTE_EVERY_MS = 30_000

/** The session that a browser's cookie opens, if it has one. */
export type FindSession = (
  c: Context<AppEnv>,
) => Promise<{ session: SessionRow; principal: PlatformKeyRow } | undefined>

/**
 * Requires `Authorization: Bearer <platform key>`, or the cookie of a browser that signed in with one. A malformed key is
 * refused without a look-up; a key that is sent counts alone, whatever cookie comes with it. Wrong keys are counted by address.
 */
export function requirePlatformKey(pool: PostgresPool, findSession: FindSession, failed: FailedAttempts) {
  const notedAtMs = new Map<string, number>()
  return createMiddleware<AppEnv>(async (c, next) => {
    const authorization = c.req.header('authorization')
    let principal: PlatformKeyRow | undefined
    if (authorization === undefined) {
      const found = await findSession(c)
      if (found !== undefined) c.set('session', found.session)
      principal = found?.principal
    } else {
      principal = await verifyPlatformKey(c, pool, failed, /^Bearer +(\S+)$/i.exec(authorization)?.[1])
    }
    if (principal === undefined) throw unauthorized()
    c.set('principal', principal)
    const nowMs = performance.now()
    if (nowMs - (notedAtMs.get(principal.key_id) ?? Number.NEGATIVE_INFINITY) > NOTE_EVERY_MS) {
      notedAtMs.set(principal.key_id, nowMs)
      notePlatformKeyUse(pool, principal.key_id).catch((fault) =>
        c.var.log.warn({ err: fault }, 'the use of a platform key could not be noted'),
      )
    }
    await next()
  })
}

/**
 * The platform key that was sent; a wrong one is counted, and answered later past a limit.
 * @throws Problem 401, or 429 `too_many_failed_keys`.
 */
export async function verifyPlatformKey(
  c: Context<AppEnv>,
  pool: PostgresPool,
  failed: FailedAttempts,
  key: string | undefined,
): Promise<PlatformKeyRow> {
  const isWellFormed = key !== undefined && parseKeyKind(key) === 'platform'
  const principal = isWellFormed ? await findPlatformKeyByDigest(pool, digestKey(key)) : undefined
  if (principal !== undefined) return principal
  return failed.refuse(addressOf(c.req.header('x-forwarded-for')) ?? '', unauthorized())
}

/** Whether the role may do it: what it may not even see is answered as absent, what it may see but not do as forbidden. */
export type Access = { see: readonly PlatformRole[]; act: readonly PlatformRole[] }

/** Who sees and who changes what. One table, so that it can be read, and tested, as a whole. */
export const ACCESS = {
  tenants: { see: ['owner', 'operator', 'billing', 'viewer'], act: ['owner', 'operator'] },
  tenantKeys: { see: ['owner', 'operator', 'viewer'], act: ['owner', 'operator'] },
  operations: { see: ['owner', 'operator', 'viewer'], act: [] },
  usage: { see: ['owner', 'operator', 'billing', 'viewer'], act: [] },
  invoices: { see: ['owner', 'billing', 'viewer'], act: ['owner', 'billing'] },
  plans: { see: ['owner', 'operator', 'billing', 'viewer'], act: [] },
  platformKeys: { see: ['owner'], act: ['owner'] },
  auditLog: { see: ['owner', 'operator', 'viewer'], act: [] },
  backends: { see: ['owner', 'operator', 'viewer'], act: ['owner', 'operator'] },
  webhooks: { see: ['owner', 'operator', 'viewer'], act: ['owner', 'operator'] },
  accessGrants: { see: ['owner', 'operator', 'viewer'], act: ['owner', 'operator'] },
  alerts: { see: ['owner', 'operator', 'viewer'], act: ['owner', 'operator'] },
  sla: { see: ['owner', 'operator', 'billing', 'viewer'], act: [] },
  maintenance: { see: ['owner', 'operator', 'billing', 'viewer'], act: ['owner', 'operator'] },
} as const satisfies Record<string, Access>
export type Area = keyof typeof ACCESS

/** Lets the request pass only where the caller's role may `see` or `act` in the area. */
export function allow(area: Area, verb: 'see' | 'act') {
  const access: Access = ACCESS[area]
  return createMiddleware<AppEnv>(async (c, next) => {
    const { role } = c.var.principal
    if (!access.see.includes(role)) throw notFound()
    if (verb === 'act' && !access.act.includes(role))
      throw new Problem(403, 'forbidden', { detail: `A key with the role ${role} may not do this.` })
    await next()
  })
}

/** The one answer for what does not exist and for what the caller may not see. */
export function notFound(): Problem {
  return new Problem(404, 'not_found', { detail: 'There is nothing at this address.' })
}

/** The answer to a caller whose key or session is not good. */
export function unauthorized(): Problem {
  return new Problem(401, 'unauthorized', {
    detail: 'A valid platform key is needed: Authorization: Bearer aero_platform_...',
    headers: { 'WWW-Authenticate': 'Bearer realm="aerodb-platform"' },
  })
}
