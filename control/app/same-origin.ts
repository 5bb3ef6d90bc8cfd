import type { Context } from 'hono'
import { Problem } from '../../runtime/problem.ts'
import type { AppEnv } from './environment.ts'

/** What our own pages send with every call that changes something: another origin cannot without a preflight, which we refuse. */
export const CSRF_HEADER = 'x-csrf-protection'

/**
 * Refuses a call that a browser makes on behalf of another origin. Tenants live at `<name>.<domain>`, so their pages are
 * *same-site* with the dashboard and `SameSite=Strict` alone does not keep them out: the origin itself has to be ours.
 * @throws Problem 403 `cross_origin_request`
 */
export function requireSameOrigin(c: Context<AppEnv>): void {
  const origin = c.req.header('origin')
  const isOurs = origin !== undefined && URL.canParse(origin) && new URL(origin).host === hostOf(c)
  if (isOurs && c.req.header(CSRF_HEADER) !== undefined) return
  throw new Problem(403, 'cross_origin_request', {
    detail: 'A browser session changes things from the pages of the platform itself only.',
  })
}

/** Whether the browser's connection is encrypted, as the gateway says: only then can a cookie be `Secure`. */
export function isEncrypted(c: Context<AppEnv>): boolean {
  return c.req.header('x-forwarded-proto') === 'https'
}

/** The host that the browser asked for; control is reached through the gateway, which sets the forwarded one. */
function hostOf(c: Context<AppEnv>): string | undefined {
  return (c.req.header('x-forwarded-host') ?? c.req.header('host'))?.toLowerCase()
}
