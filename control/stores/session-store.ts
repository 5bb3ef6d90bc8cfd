import { createHash, randomBytes } from 'node:crypto'
import { makeId } from '../../runtime/ids.ts'
import type { Change, Queryable } from './change.ts'
import type { PlatformKeyRow } from './platform-key-store.ts'

export type SessionRow = { session_id: string; expires_at: Date }

/** A new session of the key; its token is kept as a digest and given to the browser once. */
export async function insertSession(
  change: Change,
  keyId: string,
  expiresAt: Date,
): Promise<{ row: SessionRow; token: string }> {
  const token = randomBytes(32).toString('base64url')
  const result = await change.tx.query<SessionRow>(
    `insert into control.sessions (session_id, digest, key_id, expires_at) values ($1, $2, $3, $4)
     returning session_id, expires_at`,
    [makeId('sess'), digestToken(token), keyId, expiresAt],
  )
  const row = result.rows[0]
  if (row === undefined) throw new Error('unreachable')
  return { row, token }
}

/** The session of a token with the key behind it, while both are good: a revoked key ends its sessions at once. */
export async function findSession(
  db: Queryable,
  token: string,
): Promise<{ session: SessionRow; principal: PlatformKeyRow } | undefined> {
  const result = await db.query<PlatformKeyRow & { session_id: string; session_expires_at: Date }>(
    `select key.key_id, key.name, key.role, key.hint, key.created_at, key.expires_at, key.last_used_at,
       session.session_id, least(session.expires_at, key.expires_at) as session_expires_at
     from control.sessions session join control.platform_keys key using (key_id)
     where session.digest = $1 and session.expires_at > now() and (key.expires_at is null or key.expires_at > now())`,
    [digestToken(token)],
  )
  const row = result.rows[0]
  if (row === undefined) return undefined
  const { session_id, session_expires_at, ...principal } = row
  return { session: { session_id, expires_at: session_expires_at }, principal }
}

export async function deleteSession(change: Change, sessionId: string): Promise<void> {
  await change.tx.query('delete from control.sessions where session_id = $1', [sessionId])
}

export async function dropOldSessions(db: Queryable): Promise<void> {
  await db.query('delete from control.sessions where expires_at < now()')
}

function digestToken(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
