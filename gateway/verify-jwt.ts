import { type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { Clock } from '../runtime/clock.ts'
import type { JwksCache } from '../runtime/jwks.ts'
import { Problem } from '../runtime/problem.ts'
import type { Sealer } from '../runtime/seal.ts'
import { TENANT_ROLES, type TenantRole } from '../tenancy/request-context.ts'
import type { TenantSnapshot } from '../tenancy/snapshot.ts'
import { unauthorized } from './authenticate.ts'
import { Principal } from './principal.ts'

/** What a JWKS may sign with. `none` and HS256 are not here, so a public key can never be taken for a shared secret. */
const ASYMMETRIC = ['RS256', 'ES256', 'EdDSA']
/** How far a token's `nbf` may lie ahead of our clock. `exp` gets no tolerance. */
const CLOCK_TOLERANCE_S = 5
/** A verified token is believed for this long at most before it is verified again. */
const MAX_TRUST_MS = 300_000

export type JwtVerifierOptions = { sealer: Sealer; jwks: JwksCache; clock: Clock }

/** Verifies a tenant's JWTs with the tenant's own HS256 secret or JWKS URL. */
export class JwtVerifier {
  readonly #options: JwtVerifierOptions

  constructor(options: JwtVerifierOptions) {
    this.#options = options
  }

  /** @throws Problem 401 when the token is not valid for this tenant, 503 when its JWKS cannot be had. */
  async verify(snapshot: TenantSnapshot, token: string): Promise<Principal> {
    const nowMs = this.#options.clock.nowMs()
    const payload = await this.#verifySignature(snapshot, token, nowMs)
    const role = payload.role
    if (!isTenantRole(role)) throw unauthorized('invalid_credentials')
    const expiresAtMs = payload.exp === undefined ? Number.POSITIVE_INFINITY : payload.exp * 1000
    if (expiresAtMs <= nowMs) throw unauthorized('invalid_credentials')
    return new Principal(role, null, { ...payload }, Math.min(expiresAtMs, nowMs + MAX_TRUST_MS))
  }

  async #verifySignature(snapshot: TenantSnapshot, token: string, nowMs: number): Promise<JWTPayload> {
    const { jwt } = snapshot
    const common: JWTVerifyOptions = {
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(nowMs),
      ...(jwt.issuer === null ? {} : { issuer: jwt.issuer }),
      ...(jwt.audience === null ? {} : { audience: jwt.audience }),
    }
    try {
      if (jwt.jwks_url !== null && algorithmOf(token) !== 'HS256') {
        const keys = await this.#options.jwks.keysOf(jwt.jwks_url)
        return (await jwtVerify(token, keys, { ...common, algorithms: ASYMMETRIC })).payload
      }
      if (jwt.sealed_secret === null) throw unauthorized('invalid_credentials')
      const secret = this.#options.sealer.open(jwt.sealed_secret, `jwt:${snapshot.tenant_id}`)
      return (await jwtVerify(token, new TextEncoder().encode(secret), { ...common, algorithms: ['HS256'] })).payload
    } catch (fault) {
      if (fault instanceof Problem) throw fault
      throw unauthorized('invalid_credentials', fault)
    }
  }
}

function isTenantRole(value: unknown): value is TenantRole {
  return TENANT_ROLES.some((role) => role === value)
}

/** The `alg` that a token claims: it only chooses between the tenant's own key sources, each with its allow-list. */
function algorithmOf(token: string): unknown {
  try {
    const header: unknown = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString('utf8'))
    return typeof header === 'object' && header !== null && 'alg' in header ? header.alg : undefined
  } catch {
    return undefined
  }
}
