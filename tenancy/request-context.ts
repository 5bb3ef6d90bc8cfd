import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { ISOLATIONS } from './plan.ts'
import { placementSchema } from './snapshot.ts'

/** The header that carries the signed context. The gateway strips it, and all of this prefix, from what clients send. */
export const CONTEXT_HEADER = 'x-aerodb-context'
export const INTERNAL_HEADER_PREFIX = 'x-aerodb-'

/** How long a signed context is good for. It is made anew, and cached, every half of this. */
export const CONTEXT_LIFETIME_MS = 60_000

export const TENANT_ROLES = ['anon', 'authenticated', 'service_role'] as const
export type TenantRole = (typeof TENANT_ROLES)[number]

const requestContextSchema = z.object({
  tenant_id: z.string(),
  name: z.string(),
  isolation: z.enum(ISOLATIONS),
  placement: placementSchema.nullable(),
  role: z.enum(TENANT_ROLES),
  /** The id of the key that was used, where one was. */
  key_id: z.string().nullable(),
  /** The verified JWT claims, as `request.jwt.claims` is to hold them; `null` without a JWT. */
  claims: z.record(z.string(), z.unknown()).nullable(),
  /** Totals that the backend enforces inside its transactions; `null` is unlimited. */
  quotas: z.object({ storage_bytes: z.number().nullable(), file_storage_bytes: z.number().nullable() }),
  /** When it ends, in milliseconds since the epoch. */
  expires_at: z.number(),
})

/** Who asks, for which tenant, with which rights: the one thing that a backend believes. */
export type RequestContext = z.output<typeof requestContextSchema>

/** Signs and verifies contexts with HMAC-SHA-256 under a key derived from the platform's internal secret. */
export class RequestContextCodec {
  readonly #key: Buffer

  constructor(internalSecret: string) {
    this.#key = Buffer.from(hkdfSync('sha256', internalSecret, '', 'aerodb-request-context', 32))
  }

  /** `base64url(JSON).base64url(HMAC)`. */
  sign(context: RequestContext): string {
    const body = Buffer.from(JSON.stringify(context)).toString('base64url')
    return `${body}.${this.#mac(body).toString('base64url')}`
  }

  /** The context, or `undefined` when the signature is wrong or its time is over. */
  verify(token: string, nowMs: number): RequestContext | undefined {
    const dot = token.indexOf('.')
    if (dot < 0) return undefined
    const body = token.slice(0, dot)
    const given = Buffer.from(token.slice(dot + 1), 'base64url')
    const expected = this.#mac(body)
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
    const result = requestContextSchema.safeParse(JSON.parse(Buffer.from(body, 'base64url').toString('utf8')))
    return result.success && result.data.expires_at > nowMs ? result.data : undefined
  }

  #mac(body: string): Buffer {
    return createHmac('sha256', this.#key).update(body).digest()
  }
}
