import { z } from 'zod'
import { ISOLATIONS, quotasSchema } from './plan.ts'
import { TENANT_STATUSES } from './tenant.ts'

/** One key as the gateway knows it: the digest, never the key. `expires_at` (ms) is set while a rotated key runs out. */
const keyEntrySchema = z.object({
  id: z.string(),
  kind: z.enum(['anon', 'service']),
  digest: z.string(),
  expires_at: z.number().nullable(),
  /** Requests per second with this key, beside the tenant's; absent in what older versions published. */
  rate_limit: z.number().int().positive().nullish(),
})

/** How the tenant's JWTs are verified. The HS256 secret is sealed (`Sealer`, context `jwt:<tenant id>`). */
const jwtSchema = z.object({
  sealed_secret: z.string().nullable(),
  jwks_url: z.string().nullable(),
  issuer: z.string().nullable(),
  audience: z.string().nullable(),
})

/**
 * Where a tenant's data lies, without any credential: the server's name in the server directory, and the schema and role
 * there. Backends look the server up; the gateway only carries this on in the signed context.
 */
export const placementSchema = z.object({ server: z.string(), schema: z.string(), role: z.string() })
export type Placement = z.output<typeof placementSchema>

/**
 * What serves the tenant: our shared backends (`kind: 'shared'`), the backend process of a cluster tenant, or an HTTP
 * upstream registered by `POST /v1/backends`.
 */
export const backendRefSchema = z.object({
  kind: z.enum(['shared', 'dedicated', 'registered']),
  name: z.string(),
  /** Base URLs; empty for `shared`, whose addresses the gateway knows from its configuration. */
  urls: z.array(z.string()),
  /** Requests that may be in flight on one connection. */
  pipelining: z.number().int().positive(),
})
export type BackendRef = z.output<typeof backendRefSchema>

/**
 * The tenant as published: all that a gateway needs to decide on a request, in one document. `version` grows with every
 * change, so an older snapshot never replaces a newer one.
 */
export const tenantSnapshotSchema = z.object({
  tenant_id: z.string(),
  name: z.string(),
  version: z.number().int().positive(),
  status: z.enum(TENANT_STATUSES),
  plan: z.string(),
  isolation: z.enum(ISOLATIONS),
  // Not the strict one: a newer control may publish one more quota while older gateways still run.
  quotas: z.object(quotasSchema.shape),
  /** Set by the ledger's side when a total is used up: then writes get 507. */
  storage_exceeded: z.boolean(),
  file_storage_exceeded: z.boolean(),
  keys: z.array(keyEntrySchema),
  jwt: jwtSchema,
  placement: placementSchema.nullable(),
  /** Milliseconds since the epoch: until then, at most, writes wait at the gateway, because the tenant is being moved. */
  writes_held_until: z.number().nullish(),
  backend: backendRefSchema,
})
export type TenantSnapshot = z.output<typeof tenantSnapshotSchema>
export type TenantSnapshotKey = TenantSnapshot['keys'][number]

/** @throws when `text` is not a snapshot. */
export function parseTenantSnapshot(text: string): TenantSnapshot {
  return tenantSnapshotSchema.parse(JSON.parse(text))
}
