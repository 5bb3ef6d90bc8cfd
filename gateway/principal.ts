import { CONTEXT_LIFETIME_MS, type RequestContextCodec, type TenantRole } from '../tenancy/request-context.ts'
import type { TenantSnapshot } from '../tenancy/snapshot.ts'

/** The requests per second that a key may make, beside its tenant's. */
export type KeyLimit = { readonly id: string; readonly limit: number }

/** Who asks: the outcome of verified credentials. It keeps its signed context and goes when its tenant's entry goes. */
export class Principal {
  readonly role: TenantRole
  readonly keyId: string | null
  readonly claims: Readonly<Record<string, unknown>> | null
  /** When the credentials end (milliseconds since the epoch). */
  readonly expiresAtMs: number
  readonly keyLimit: KeyLimit | null
  #context = ''
  #renewAtMs = 0

  constructor(
    role: TenantRole,
    keyId: string | null,
    claims: Record<string, unknown> | null,
    expiresAtMs: number,
    keyLimit: KeyLimit | null = null,
  ) {
    this.role = role
    this.keyId = keyId
    this.claims = claims
    this.expiresAtMs = expiresAtMs
    this.keyLimit = keyLimit
  }

  /** The signed context for the backend, made anew when half of its life is over. */
  contextFor(snapshot: TenantSnapshot, codec: RequestContextCodec, nowMs: number): string {
    if (nowMs < this.#renewAtMs) return this.#context
    this.#context = codec.sign({
      tenant_id: snapshot.tenant_id,
      name: snapshot.name,
      isolation: snapshot.isolation,
      placement: snapshot.placement,
      role: this.role,
      key_id: this.keyId,
      claims: this.claims === null ? null : { ...this.claims },
      quotas: {
        storage_bytes: snapshot.quotas.storage_bytes,
        file_storage_bytes: snapshot.quotas.file_storage_bytes,
      },
      expires_at: nowMs + CONTEXT_LIFETIME_MS,
    })
    this.#renewAtMs = nowMs + CONTEXT_LIFETIME_MS / 2
    return this.#context
  }
}
