import type { RequestContext, TenantRole } from '../../../tenancy/request-context.ts'

/** Who a socket or a channel acts as: verified, and good until `expiresAtMs` (milliseconds since the epoch). */
export type Identity = {
  role: TenantRole
  claims: Readonly<Record<string, unknown>> | null
  expiresAtMs: number
  /** The id of the key that was shown, where one was. */
  keyId: string | null
}

/** The identity that the gateway verified at the handshake. */
export function identityOf(context: RequestContext): Identity {
  const exp = context.claims?.exp
  return {
    role: context.role,
    claims: context.claims,
    expiresAtMs: typeof exp === 'number' ? exp * 1_000 : Number.POSITIVE_INFINITY,
    keyId: context.key_id,
  }
}

/** Equal for identities that have the same rights; a fit key for asking the database once for all of them. */
export function rightsKey(identity: Identity): string {
  return `${identity.role} ${JSON.stringify(identity.claims)}`
}
