import { hkdfSync } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'
import type { Clock } from '../../runtime/clock.ts'
import { TENANT_ROLES, type TenantRole } from '../../tenancy/request-context.ts'
import { storageProblems } from './errors.ts'

/** What a signed URL allows: one method on one object of one tenant until it expires. */
export type UrlGrant = {
  tenantId: string
  method: 'download' | 'upload'
  bucket: string
  key: string
}

/** With whose rights an upload is made: the signer's, which row security checks again when the upload comes. */
export type UploadRights = { role: TenantRole; owner: string | null; upsert: boolean }

const claimsSchema = z.object({
  method: z.enum(['download', 'upload']),
  bucket: z.string(),
  key: z.string(),
  rights: z.object({ role: z.enum(TENANT_ROLES), owner: z.string().nullable(), upsert: z.boolean() }).optional(),
  exp: z.number(),
})

export type VerifiedGrant = UrlGrant & { rights: UploadRights | undefined; expiresAtMs: number }

/**
 * Makes and checks the tokens of signed URLs: JWTs (HS256) under a key of the tenant's own, derived from a secret of the
 * platform, so that one tenant's token cannot even be read as another's. The first secret signs, every one verifies.
 */
export class UrlSigner {
  readonly #secrets: readonly string[]
  readonly #clock: Clock

  constructor(secrets: readonly string[], clock: Clock) {
    if (secrets.length === 0) throw new Error('A URL signer needs at least one secret')
    this.#secrets = secrets
    this.#clock = clock
  }

  async sign(grant: UrlGrant, lifetimeSeconds: number, rights?: UploadRights): Promise<string> {
    const nowSeconds = Math.floor(this.#clock.nowMs() / 1_000)
    return new SignJWT({
      method: grant.method,
      bucket: grant.bucket,
      key: grant.key,
      ...(rights === undefined ? {} : { rights }),
    })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setAudience(grant.tenantId)
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + lifetimeSeconds)
      .sign(deriveKey(this.#secrets[0] ?? '', grant.tenantId))
  }

  /** @throws Problem 400 `ExpiredToken`, or `InvalidJWT` when the token is for anything but exactly this. */
  async verify(token: string, wanted: UrlGrant): Promise<VerifiedGrant> {
    for (const secret of this.#secrets) {
      try {
        const { payload } = await jwtVerify(token, deriveKey(secret, wanted.tenantId), {
          algorithms: ['HS256'],
          audience: wanted.tenantId,
          currentDate: new Date(this.#clock.nowMs()),
        })
        const claims = claimsSchema.parse(payload)
        if (claims.method !== wanted.method || claims.bucket !== wanted.bucket || claims.key !== wanted.key) break
        return { ...wanted, rights: claims.rights, expiresAtMs: claims.exp * 1_000 }
      } catch (fault) {
        if (fault instanceof errors.JWTExpired) throw storageProblems.expiredToken()
        if (!(fault instanceof errors.JWSSignatureVerificationFailed)) break
      }
    }
    throw storageProblems.invalidToken()
  }
}

function deriveKey(secret: string, tenantId: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, tenantId, 'aerodb-storage-url', 32))
}
