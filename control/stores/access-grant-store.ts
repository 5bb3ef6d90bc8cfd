import { makeId } from '../../runtime/ids.ts'
import type { Change, Queryable } from './change.ts'

export type AccessGrantRow = {
  grant_id: string
  tenant_id: string
  requested_by: string
  reason: string
  minutes: number
  can_write: boolean
  status: 'pending' | 'approved' | 'denied' | 'ended'
  requested_at: Date
  decided_at: Date | null
  decided_by: string | null
  expires_at: Date | null
  uses: number
  last_used_at: Date | null
}

/** A request nobody has answered for so long is over. */
const PENDING_DAYS = 7

export async function insertAccessGrant(
  change: Change,
  grant: Pick<AccessGrantRow, 'tenant_id' | 'requested_by' | 'reason' | 'minutes' | 'can_write'>,
): Promise<AccessGrantRow> {
  const result = await change.tx.query<AccessGrantRow>(
    `insert into control.access_grants (grant_id, tenant_id, requested_by, reason, minutes, can_write)
     values ($1, $2, $3, $4, $5, $6) returning *`,
    [makeId('grant'), grant.tenant_id, grant.requested_by, grant.reason, grant.minutes, grant.can_write],
  )
  const row = result.rows[0]
  if (row === undefined) throw new Error('unreachable')
  return row
}

/** A tenant's grants, newest first, after the id `before`. */
export async function listAccessGrants(
  db: Queryable,
  tenantId: string,
  page: { before?: string | undefined; limit: number },
): Promise<AccessGrantRow[]> {
  const result = await db.query<AccessGrantRow>(
    `select * from control.access_grants where tenant_id = $1 and ($2::text is null or grant_id < $2)
     order by grant_id desc limit $3`,
    [tenantId, page.before ?? null, page.limit],
  )
  return result.rows
}

export async function findAccessGrant(
  db: Queryable,
  tenantId: string,
  grantId: string,
): Promise<AccessGrantRow | undefined> {
  const result = await db.query<AccessGrantRow>(
    'select * from control.access_grants where tenant_id = $1 and grant_id = $2',
    [tenantId, grantId],
  )
  return result.rows[0]
}

/** Answers a request that is still open. @returns `undefined` when it is not. */
export async function decideAccessGrant(
  change: Change,
  grant: Pick<AccessGrantRow, 'tenant_id' | 'grant_id'>,
  decision: { status: 'approved' | 'denied'; by: string },
): Promise<AccessGrantRow | undefined> {
  const result = await change.tx.query<AccessGrantRow>(
    `update control.access_grants
     set status = $3::text, decided_at = now(), decided_by = $4,
         expires_at = case when $3::text = 'approved' then now() + make_interval(mins => minutes) end
     where tenant_id = $1 and grant_id = $2 and status = 'pending'
       and requested_at > now() - make_interval(days => $5) returning *`,
    [grant.tenant_id, grant.grant_id, decision.status, decision.by, PENDING_DAYS],
  )
  return result.rows[0]
}

/** Ends a grant, or takes back a request. @returns `undefined` when it was over already. */
export async function endAccessGrant(
  change: Change,
  tenantId: string,
  grantId: string,
): Promise<AccessGrantRow | undefined> {
  const result = await change.tx.query<AccessGrantRow>(
    `update control.access_grants set status = 'ended', expires_at = least(expires_at, now())
     where tenant_id = $1 and grant_id = $2
       and (status = 'pending' or (status = 'approved' and expires_at > now())) returning *`,
    [tenantId, grantId],
  )
  return result.rows[0]
}

/** The newest grant that opens the tenant's data to this caller now. */
export async function findGrantInForce(db: Queryable, tenantId: string, caller: string): Promise<string | undefined> {
  const result = await db.query<{ grant_id: string }>(
    `select grant_id from control.access_grants
     where tenant_id = $1 and requested_by = $2 and status = 'approved' and expires_at > now()
     order by grant_id desc limit 1`,
    [tenantId, caller],
  )
  return result.rows[0]?.grant_id
}

/**
 * Notes one use of a grant that is in force for this caller. Ended, expired, another's or read-only for a write: `undefined`.
 */
export async function useAccessGrant(
  change: Change,
  use: { tenantId: string; grantId: string; caller: string; isWrite: boolean },
): Promise<AccessGrantRow | undefined> {
  const result = await change.tx.query<AccessGrantRow>(
    `update control.access_grants set uses = uses + 1, last_used_at = now()
     where tenant_id = $1 and grant_id = $2 and requested_by = $3 and status = 'approved' and expires_at > now()
       and (can_write or not $4) returning *`,
    [use.tenantId, use.grantId, use.caller, use.isWrite],
  )
  return result.rows[0]
}
