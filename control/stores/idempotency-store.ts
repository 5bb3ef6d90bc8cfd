import type { Queryable } from './change.ts'

export type IdempotencyRow = {
  fingerprint: string
  operation_id: string | null
  status: number | null
  sealed_response: string | null
  is_locked: boolean
}

/** How long an answer is kept (contract: 24 h). */
export const IDEMPOTENCY_SECONDS = 24 * 3_600
/** How long a request that is under way is believed to be alive without a sign of it. */
const LOCK_SECONDS = 90

/** Takes the key for a first request; `undefined` when it was taken now, otherwise what is known of it. */
export async function takeIdempotencyKey(
  db: Queryable,
  caller: string,
  key: string,
  fingerprint: string,
): Promise<IdempotencyRow | undefined> {
  const taken = await db.query(
    `insert into control.idempotency_keys as mine (caller, idempotency_key, fingerprint, locked_until)
     values ($1, $2, $3, now() + make_interval(secs => $4))
     on conflict (caller, idempotency_key) do update
       set fingerprint = excluded.fingerprint, operation_id = null, status = null, sealed_response = null,
           locked_until = excluded.locked_until, created_at = now()
       where mine.created_at < now() - make_interval(secs => $5)
          or (mine.status is null and mine.fingerprint = excluded.fingerprint and mine.locked_until < now()
              and (mine.operation_id is null or exists (
                select from control.operations operation
                where operation.operation_id = mine.operation_id and operation.status = 'failed')))
     returning 1`,
    [caller, key, fingerprint, LOCK_SECONDS, IDEMPOTENCY_SECONDS],
  )
  if (taken.rowCount === 1) return undefined
  const known = await db.query<IdempotencyRow>(
    `select fingerprint, operation_id, status, sealed_response, coalesce(locked_until > now(), false) as is_locked
     from control.idempotency_keys where caller = $1 and idempotency_key = $2`,
    [caller, key],
  )
  // Released between the two statements: as if it were under way, the caller tries again.
  return known.rows[0] ?? { fingerprint, operation_id: null, status: null, sealed_response: null, is_locked: true }
}

/** Ties the key to the operation that the request has begun, in the transaction that begins it. */
export async function linkIdempotencyKey(db: Queryable, caller: string, key: string, operationId: string) {
  await db.query('update control.idempotency_keys set operation_id = $3 where caller = $1 and idempotency_key = $2', [
    caller,
    key,
    operationId,
  ])
}

export async function storeIdempotentResponse(
  db: Queryable,
  caller: string,
  key: string,
  status: number,
  sealedResponse: string,
): Promise<void> {
  await db.query(
    `update control.idempotency_keys set status = $3, sealed_response = $4, locked_until = null
     where caller = $1 and idempotency_key = $2`,
    [caller, key, status, sealedResponse],
  )
}

/** Lets go of a key whose request changed nothing: the next one with it is a first one again. */
export async function releaseIdempotencyKey(db: Queryable, caller: string, key: string): Promise<void> {
  await db.query('delete from control.idempotency_keys where caller = $1 and idempotency_key = $2 and status is null', [
    caller,
    key,
  ])
}

export async function dropOldIdempotencyKeys(db: Queryable): Promise<void> {
  await db.query(`delete from control.idempotency_keys where created_at < now() - make_interval(secs => $1)`, [
    IDEMPOTENCY_SECONDS,
  ])
}
