import { makeId } from '../../runtime/ids.ts'
import { digestKey, keyHint, makeKey, type TenantKeyKind } from '../../tenancy/key.ts'
import type { Change, Queryable } from './change.ts'

export type TenantKeyRow = {
  key_id: string
  tenant_id: string
  kind: TenantKeyKind
  digest: string
  hint: string
  created_at: Date
  expires_at: Date | null
  replaced_by: string | null
  /** Requests per second with this key, beside the tenant's. */
  rate_limit: number | null
}

/** Makes a key and stores its digest; the key itself is in the result and nowhere else. */
export async function insertTenantKey(
  change: Change,
  tenantId: string,
  kind: TenantKeyKind,
  rateLimit: number | null = null,
): Promise<{ row: TenantKeyRow; key: string }> {
  const key = makeKey(kind)
  const result = await change.tx.query<TenantKeyRow>(
    `insert into control.tenant_keys (key_id, tenant_id, kind, digest, hint, rate_limit)
     values ($1, $2, $3, $4, $5, $6) returning *`,
    [makeId('key'), tenantId, kind, digestKey(key), keyHint(key), rateLimit],
  )
  const row = result.rows[0]
  if (row === undefined) throw new Error('unreachable')
  return { row, key }
}

/** Keys that are good now, oldest first. */
export async function listTenantKeys(db: Queryable, tenantId: string): Promise<TenantKeyRow[]> {
  const result = await db.query<TenantKeyRow>(
    `select * from control.tenant_keys where tenant_id = $1 and (expires_at is null or expires_at > now()) order by key_id`,
    [tenantId],
  )
  return result.rows
}

export async function findTenantKey(db: Queryable, tenantId: string, keyId: string): Promise<TenantKeyRow | undefined> {
  const result = await db.query<TenantKeyRow>(
    `select * from control.tenant_keys where tenant_id = $1 and key_id = $2 and (expires_at is null or expires_at > now())`,
    [tenantId, keyId],
  )
  return result.rows[0]
}

/** Lets a key run out at `expiresAt`, replaced by another. */
export async function expireTenantKey(change: Change, keyId: string, expiresAt: Date, replacedBy: string) {
  await change.tx.query('update control.tenant_keys set expires_at = $2, replaced_by = $3 where key_id = $1', [
    keyId,
    expiresAt,
    replacedBy,
  ])
}

/** Sets how many requests per second a key may make; null: as many as the tenant. */
export async function limitTenantKey(change: Change, keyId: string, rateLimit: number | null): Promise<TenantKeyRow> {
  const result = await change.tx.query<TenantKeyRow>(
    'update control.tenant_keys set rate_limit = $2 where key_id = $1 returning *',
    [keyId, rateLimit],
  )
  const row = result.rows[0]
  if (row === undefined) throw new Error('unreachable')
  return row
}

/** Revokes a key: it is gone. */
export async function deleteTenantKey(change: Change, keyId: string): Promise<void> {
  await change.tx.query('update control.tenant_keys set replaced_by = null where replaced_by = $1', [keyId])
  await change.tx.query('delete from control.tenant_keys where key_id = $1', [keyId])
}

export async function deleteTenantKeys(change: Change, tenantId: string): Promise<void> {
  await change.tx.query('update control.tenant_keys set replaced_by = null where tenant_id = $1', [tenantId])
  await change.tx.query('delete from control.tenant_keys where tenant_id = $1', [tenantId])
}
