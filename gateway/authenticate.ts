import type { Clock } from '../runtime/clock.ts'
import type { FailedAttempts } from '../runtime/failed-attempts.ts'
import { Problem } from '../runtime/problem.ts'
import { digestKey, parseKeyKind } from '../tenancy/key.ts'
import { readCredentials } from './credentials.ts'
import type { Exchange } from './exchange.ts'
import { needsNoKey } from './keyless.ts'
import { Principal } from './principal.ts'
import type { TenantEntry } from './tenant-entry.ts'
import type { JwtVerifier } from './verify-jwt.ts'

export type AuthenticateOptions = { jwt: JwtVerifier; clock: Clock; failed: FailedAttempts }

/**
 * Step 2: who asks. An `apikey`, a bearer key or a bearer JWT; where both are sent both must be right, and the bearer
 * decides the role (supabase-js sends the key in both, and the user's JWT as bearer beside the key). Wrong keys
 * are counted by address, and answered later past a limit. Tokens are not: one that ran out is an everyday thing.
 */
export function makeAuthenticate({ jwt, clock, failed }: AuthenticateOptions) {
  return function authenticate(exchange: Exchange): Promise<void> | undefined {
    try {
      return verify(exchange)
    } catch (fault) {
      // A token is verified later than here.
      if (fault instanceof Problem && fault.code === 'invalid_credentials')
        return failed.refuse(exchange.client.address, fault)
      throw fault
    }
  }

  function verify(exchange: Exchange): Promise<void> | undefined {
    const tenant = exchange.tenant
    if (tenant === undefined) throw new Error('resolve comes before authenticate')
    const query = exchange.isUpgrade ? queryOf(exchange.target) : undefined
    const credentials = readCredentials(exchange.request, query)
    if (credentials === undefined) throw unauthorized('invalid_credentials')
    const { apiKey, bearer } = credentials
    if (apiKey === undefined && bearer === undefined) {
      if (!needsNoKey(exchange)) throw unauthorized('missing_credentials')
      exchange.principal = tenant.nobody
      return undefined
    }

    const asSent = apiKey === bearer || bearer === undefined ? (apiKey ?? '') : `${apiKey ?? ''}\n${bearer}`
    const known = tenant.findPrincipal(asSent)
    if (known !== undefined && known.expiresAtMs > clock.nowMs()) {
      exchange.principal = known
      return undefined
    }
    const keep = (principal: Principal): void => {
      tenant.keepPrincipal(asSent, principal)
      exchange.principal = principal
    }
    const byApiKey = apiKey === undefined ? undefined : verifyKey(tenant, apiKey, clock.nowMs())
    if (apiKey !== undefined && byApiKey === undefined) {
      // An `apikey` may also be a JWT: Supabase's own anon and service keys are.
      if (!looksLikeJwt(apiKey) || (bearer !== undefined && bearer !== apiKey))
        throw unauthorized('invalid_credentials')
      return jwt.verify(tenant.snapshot, apiKey).then(keep)
    }
    if (bearer === undefined || bearer === apiKey) {
      if (byApiKey === undefined) throw unauthorized('invalid_credentials')
      keep(byApiKey)
      return undefined
    }
    if (looksLikeJwt(bearer)) {
      return jwt.verify(tenant.snapshot, bearer).then((principal) => {
        keep(byApiKey === undefined ? principal : endingWith(principal, byApiKey))
      })
    }
    const byBearer = verifyKey(tenant, bearer, clock.nowMs())
    if (byBearer === undefined) throw unauthorized('invalid_credentials')
    keep(byApiKey === undefined ? byBearer : endingWith(byBearer, byApiKey))
    return undefined
  }
}

/** Looks a key up by its digest among the tenant's own; another tenant's key is not there. */
function verifyKey(tenant: TenantEntry, key: string, nowMs: number): Principal | undefined {
  const kind = parseKeyKind(key)
  if (kind !== 'anon' && kind !== 'service') return undefined
  const entry = tenant.keysByDigest.get(digestKey(key))
  if (entry === undefined || entry.kind !== kind) return undefined
  const expiresAtMs = entry.expires_at ?? Number.POSITIVE_INFINITY
  if (expiresAtMs <= nowMs) return undefined
  const limit = typeof entry.rate_limit === 'number' ? { id: entry.id, limit: entry.rate_limit } : null
  return new Principal(kind === 'service' ? 'service_role' : 'anon', entry.id, null, expiresAtMs, limit)
}

/** `principal`, but no longer good than the key that was sent beside it; and known by that key's id. */
function endingWith(principal: Principal, key: Principal): Principal {
  return new Principal(
    principal.role,
    principal.keyId ?? key.keyId,
    principal.claims === null ? null : { ...principal.claims },
    Math.min(principal.expiresAtMs, key.expiresAtMs),
    // Of two keys the bearer decides, in this too.
    principal.keyId === null ? key.keyLimit : principal.keyLimit,
  )
}

/** Three base64url parts (RFC 7515 3.1). */
function looksLikeJwt(token: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)
}

function queryOf(target: string): string | undefined {
  const mark = target.indexOf('?')
  return mark < 0 ? undefined : target.slice(mark + 1)
}

/** One answer for every wrong credential: nothing tells a wrong key from another tenant's. */
export function unauthorized(code: 'missing_credentials' | 'invalid_credentials', cause?: unknown): Problem {
  return new Problem(401, code, {
    detail:
      code === 'missing_credentials'
        ? 'Send a key as `apikey`, or a key or JWT as `Authorization: Bearer`.'
        : 'The key or token is not valid here.',
    headers: { 'WWW-Authenticate': code === 'missing_credentials' ? 'Bearer' : 'Bearer error="invalid_token"' },
    cause,
  })
}
