import { makeId } from '../../runtime/ids.ts'
import { digestKey, keyHint, makeKey } from '../../tenancy/key.ts'
import type { Change, Queryable } from './change.ts'

export const PLATFORM_ROLES = ['owner', 'operator', 'billing', 'viewer'] as const
export type PlatformRole = (typeof PLATFORM_ROLES)[number]

export type PlatformKeyRow = {
  key_id: string
  name: string
  role: PlatformRole
  hint: string
  created_at: Date
  expires_at: Date | null
  last_used_at: Date | null
}

const COLUMNS = 'key_id, name, role, hint, created_at, expires_at, last_used_at'

/** The key behind a digest while it is good, noting its use (at most once a minute). */
export async function findPlatformKeyByDigest(db: Queryable, digest: string): Promise<PlatformKeyRow | undefined> {
  const result = await db.query<PlatformKeyRow>(
    `select ${COLUMNS} from control.platform_keys where digest = $1 and (expires_at is null or expires_at > now())`,
    [digest],
  )
  return result.rows[0]
}

export async function notePlatformKeyUse(db: Queryable, keyId: string): Promise<void> {
  await db.query(
    `update control.platform_keys set last_used_at = now()
     where key_id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')`,
    [keyId],
  )
}

/** Makes sure that a configured key opens the platform. Any number of replicas may call it at once. */
export async function ensurePlatformKey(
  db: Queryable,
  key: string,
  as: { name: string; role: PlatformRole },
): Promise<void> {
  await db.query(
    `insert into control.platform_keys (key_id, name, role, digest, hint) values ($1, $2, $3, $4, $5)
     on conflict (digest) do nothing`,
    [makeId('pkey'), as.name, as.role, digestKey(key), keyHint(key)],
  )
}

export async function insertPlatformKey(
  change: Change,
  options: { name: string; role: PlatformRole; expiresAt: Date | null },
): Promise<{ row: PlatformKeyRow; key: string }> {
  const key = makeKey('platform')
  const result = await change.tx.query<PlatformKeyRow>(
    `insert into control.platform_keys (key_id, name, role, digest, hint, expires_at)
     values ($1, $2, $3, $4, $5, $6) returning ${COLUMNS}`,
    [makeId('pkey'), options.name, options.role, digestKey(key), keyHint(key), options.expiresAt],
  )
  const row = result.rows[0]
  if (row === undefined) throw new Error('unreachable')
  return { row, key }
}

/** Keys that are good now, newest first, after the id `before`. */
export async function listPlatformKeys(
  db: Queryable,
  page: { before?: string | undefined; limit: number },
): Promise<PlatformKeyRow[]> {
  const result = await db.query<PlatformKeyRow>(
    `select ${COLUMNS} from control.platform_keys
     where (expires_at is null or expires_at > now()) and ($1::text is null or key_id < $1)
     order by key_id desc limit $2`,
    [page.before ?? null, page.limit],
  )
  return result.rows
}

/** Holds all owner keys to the end of the transaction, so that two revocations cannot both leave one behind. */
export async function lockOwnerKeys(change: Change): Promise<string[]> {
  const result = await change.tx.query<{ key_id: string }>(
    `select key_id from control.platform_keys
     where role = 'owner' and (expires_at is null or expires_at > now()) order by key_id for update`,
  )
  return result.rows.map((row) => row.key_id)
}

export async function deletePlatformKey(change: Change, keyId: string): Promise<PlatformKeyRow | undefined> {
  const result = await change.tx.query<PlatformKeyRow>(
    `delete from control.platform_keys where key_id = $1 returning ${COLUMNS}`,
    [keyId],
  )
  return result.rows[0]
}
