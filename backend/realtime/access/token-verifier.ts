import { errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { Clock } from '../../../runtime/clock.ts'
import type { Sealer } from '../../../runtime/seal.ts'
import type { DirectoryReader } from '../../../tenancy/directory-reader.ts'
import { digestKey, parseKeyKind } from '../../../tenancy/key.ts'
import { TENANT_ROLES, type TenantRole } from '../../../tenancy/request-context.ts'
import type { TenantSnapshot } from '../../../tenancy/snapshot.ts'
import type { Identity } from './identity.ts'

/** The tenants' public keys by URL; may fetch. */
export type KeySource = { keysOf(url: string): Promise<JWTVerifyGetKey> }

/** The token opens nothing here. The message is for the client, in the words of Supabase Realtime. */
export class InvalidTokenError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'InvalidTokenError'
  }
}

export type TokenVerifierOptions = {
  tenants: Pick<DirectoryReader<TenantSnapshot>, 'load'>
  sealer: Sealer
  jwks: KeySource
  clock: Clock
}

/** What a JWKS may sign with; no shared-secret algorithm, so a public key is never taken for a secret. */
const ASYMMETRIC = ['RS256', 'ES256', 'EdDSA']
const CLOCK_TOLERANCE_S = 5
const MAX_TOKEN_LENGTH = 8_192

/**
 * Verifies the tokens that clients send inside a socket, where no gateway stands in between: keys by digest and JWTs with the
 * tenant's own settings, both from the snapshot that control publishes. The rules are the gateway's.
 */
export class TokenVerifier {
  readonly #options: TokenVerifierOptions

  constructor(options: TokenVerifierOptions) {
    this.#options = options
  }

  /**
   * @param tenant the socket's own: a snapshot of another tenant that took over the name counts for nothing.
   * @throws InvalidTokenError, or what the directory throws when it cannot tell.
   */
  async verify(tenant: { name: string; tenantId: string }, token: string): Promise<Identity> {
    if (token.length > MAX_TOKEN_LENGTH) throw new InvalidTokenError('InvalidJWTToken: The token is too long')
    const snapshot = await this.#options.tenants.load(tenant.name)
    if (snapshot === null || snapshot.tenant_id !== tenant.tenantId)
      throw new InvalidTokenError('TenantNotFound: The tenant is gone')
    return token.startsWith('aero_') ? this.#verifyKey(snapshot, token) : this.#verifyJwt(snapshot, token)
  }

  #verifyKey(snapshot: TenantSnapshot, token: string): Identity {
    const kind = parseKeyKind(token)
    const digest = kind === undefined ? undefined : digestKey(token)
    const entry = snapshot.keys.find((key) => key.digest === digest && key.kind === kind)
    const expiresAtMs = entry?.expires_at ?? Number.POSITIVE_INFINITY
    if (entry === undefined || expiresAtMs <= this.#options.clock.nowMs())
      throw new InvalidTokenError('InvalidKey: The key is not valid here')
    return { role: entry.kind === 'service' ? 'service_role' : 'anon', claims: null, expiresAtMs, keyId: entry.id }
  }

  async #verifyJwt(snapshot: TenantSnapshot, token: string): Promise<Identity> {
    const nowMs = this.#options.clock.nowMs()
    const payload = await this.#verifySignature(snapshot, token, nowMs)
    const role = payload.role
    if (!isTenantRole(role))
      throw new InvalidTokenError('InvalidJWTToken: The claim `role` is not one of this platform')
    const expiresAtMs = payload.exp === undefined ? Number.POSITIVE_INFINITY : payload.exp * 1_000
    if (expiresAtMs <= nowMs) throw expired(nowMs - expiresAtMs)
    return { role, claims: { ...payload }, expiresAtMs, keyId: null }
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
      if (jwt.sealed_secret === null) throw new InvalidTokenError('InvalidJWTToken: The tenant has no JWT secret')
      const secret = this.#options.sealer.open(jwt.sealed_secret, `jwt:${snapshot.tenant_id}`)
      return (await jwtVerify(token, new TextEncoder().encode(secret), { ...common, algorithms: ['HS256'] })).payload
    } catch (fault) {
      if (fault instanceof InvalidTokenError) throw fault
      if (fault instanceof errors.JWTExpired) throw expired(nowMs - Number(fault.payload.exp) * 1_000)
      throw new InvalidTokenError('InvalidJWTToken: The token is not valid here', fault)
    }
  }
}

function expired(agoMs: number): InvalidTokenError {
  return new InvalidTokenError(
    `InvalidJWTToken: Token has expired ${Math.max(0, Math.floor(agoMs / 1_000))} seconds ago`,
  )
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
