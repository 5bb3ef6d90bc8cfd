import { z } from '@hono/zod-openapi'
import type { AccessGrantRow } from '../stores/access-grant-store.ts'
import { timestampSchema } from './schemas.ts'

export const accessGrantSchema = z
  .object({
    grant_id: z.string(),
    tenant_id: z.string(),
    requested_by: z.string(),
    reason: z.string(),
    minutes: z.number().int(),
    access: z.enum(['read', 'write']),
    status: z.enum(['pending', 'approved', 'denied', 'ended', 'expired']),
    requested_at: timestampSchema,
    decided_at: timestampSchema.nullable(),
    decided_by: z.string().nullable(),
    expires_at: timestampSchema.nullable(),
    uses: z.number().int(),
    last_used_at: timestampSchema.nullable(),
  })
  .openapi('AccessGrant')

/** A grant as both sides see it; one whose time is over says so by itself. */
export function renderAccessGrant(row: AccessGrantRow, nowMs: number): z.output<typeof accessGrantSchema> {
  const isExpired = row.status === 'approved' && row.expires_at !== null && row.expires_at.getTime() <= nowMs
  return {
    grant_id: row.grant_id,
    tenant_id: row.tenant_id,
    requested_by: row.requested_by,
    reason: row.reason,
    minutes: row.minutes,
    access: row.can_write ? 'write' : 'read',
    status: isExpired ? 'expired' : row.status,
    requested_at: row.requested_at.toISOString(),
    decided_at: row.decided_at?.toISOString() ?? null,
    decided_by: row.decided_by,
    expires_at: row.expires_at?.toISOString() ?? null,
    uses: row.uses,
    last_used_at: row.last_used_at?.toISOString() ?? null,
  }
}
