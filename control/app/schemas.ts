import { z } from '@hono/zod-openapi'
import { ISOLATIONS, quotasSchema } from '../../tenancy/plan.ts'
import { TENANT_STATUSES, tenantNameSchema } from '../../tenancy/tenant.ts'

/** The schemas that validate what comes in and describe what goes out; the OpenAPI document is made of these very ones. */

export const timestampSchema = z.string().openapi({ format: 'date-time' })

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().optional(),
    instance: z.string(),
    code: z.string().openapi({ description: 'Stable; what programs decide on.' }),
    request_id: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .openapi('Problem')

export const pageQuerySchema = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(1_000).optional(),
})

/** A page of a list. */
export function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({ data: z.array(item), next_cursor: z.string().nullable() })
}

export const tenantIdParamSchema = z.object({
  tenant_id: z.string().openapi({ example: 'ten_01k3zq8v5w9r2m4n6p8s0t1xyz' }),
})

// Made anew: a schema that was made before the OpenAPI extension was loaded cannot be named in the document.
const publishedQuotasSchema = z.strictObject(quotasSchema.shape).openapi('Quotas')

export const tenantSchema = z
  .object({
    tenant_id: z.string(),
    name: z.string(),
    plan: z.string(),
    region: z.string(),
    isolation: z.enum(ISOLATIONS),
    status: z.enum(TENANT_STATUSES),
    database_url: z.string(),
    quotas: publishedQuotasSchema,
    quota_overrides: publishedQuotasSchema
      .partial()
      .openapi({ description: "What of the quotas is the tenant's own." }),
    usage: z.object({
      storage_bytes: z.number().int(),
      file_storage_bytes: z.number().int(),
      storage_exceeded: z.boolean(),
      file_storage_exceeded: z.boolean(),
    }),
    backend: z.string().nullable(),
    public_status: z.boolean().openapi({ description: 'Whether anybody may see `/status/{name}`.' }),
    created_at: timestampSchema,
    updated_at: timestampSchema,
    deleted_at: timestampSchema.nullable(),
    purge_after: timestampSchema.nullable(),
  })
  .openapi('Tenant')
export type TenantDocument = z.output<typeof tenantSchema>

export const patchedTenantSchema = tenantSchema
  .extend({ operation_id: z.string().optional().openapi({ description: 'Of the move that the patch has begun.' }) })
  .openapi('PatchedTenant')
export const listedTenantSchema = tenantSchema
  .extend({
    api_requests_this_month: z
      .number()
      .int()
      .openapi({ description: 'As of some seconds ago; the usage document is exact.' }),
  })
  .openapi('ListedTenant')

export const keysSchema = z
  .object({ anon: z.string(), service: z.string() })
  .openapi('TenantKeys', { description: 'Shown once.' })

export const createdTenantSchema = tenantSchema.extend({ keys: keysSchema }).openapi('CreatedTenant')

export const createTenantSchema = z
  .strictObject({
    name: tenantNameSchema,
    plan: z.string().max(32).optional(),
    region: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be a region name: lower-case letters, digits and hyphens')
      .optional(),
    isolation: z.enum(ISOLATIONS).optional(),
    backend: z.string().max(64).optional(),
  })
  .openapi('CreateTenant')

const quotaPatch = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER).nullable().optional()

export const patchTenantSchema = z
  .strictObject({
    plan: z.string().max(32).optional(),
    quotas: z
      .strictObject({
        storage_bytes: quotaPatch,
        api_requests_per_month: quotaPatch,
        file_storage_bytes: quotaPatch,
        realtime_connections: quotaPatch,
        requests_per_second: z.number().int().positive().max(Number.MAX_SAFE_INTEGER).nullable().optional(),
      })
      .nullable()
      .optional(),
    status: z.enum(['active', 'suspended']).optional(),
    isolation: z.enum(ISOLATIONS).optional(),
    backend: z.string().max(64).nullable().optional(),
    public_status: z.boolean().optional(),
  })
  .openapi('PatchTenant', {
    description: "JSON Merge Patch (RFC 7396): `null` takes an override away, back to the plan's.",
  })

export const operationSchema = z
  .object({
    operation_id: z.string(),
    tenant_id: z.string(),
    kind: z.enum(['create', 'delete', 'restore', 'purge', 'move']),
    status: z.enum(['running', 'succeeded', 'failed']),
    step: z.string().nullable(),
    error: z.object({ code: z.string(), detail: z.string() }).optional(),
    created_at: timestampSchema,
    deadline_at: timestampSchema,
    finished_at: timestampSchema.nullable(),
  })
  .openapi('Operation')
export type OperationDocument = z.output<typeof operationSchema>

export const acceptedTenantSchema = operationSchema
  .extend({ keys: keysSchema })
  .openapi('AcceptedTenant', { description: 'The operation, and the keys of the tenant to come.' })

const day = z.string().regex(/^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/, 'must be a day: YYYY-MM-DD')

/** A range of UTC days; `to` is the first that is not in it. */
export const daysQuery = z.object({ from: day, to: day })
