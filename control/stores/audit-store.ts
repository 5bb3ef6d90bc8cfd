import type { Change, Queryable } from './change.ts'

export type AuditEntry = {
  action: string
  target: string
  before: unknown
  after: unknown
}

/** Who did it, from where, in which request. */
export type Actor = { actor: string; address: string | null; requestId: string | null }

export type AuditRow = {
  seq: number
  at: Date
  actor: string
  action: string
  target: string
  before: unknown
  after: unknown
  address: string | null
  request_id: string | null
  previous_hash: string
  hash: string
}

/** Appends to the chain. Takes the chain's lock to the end of the transaction: call it last. */
export async function appendAudit(change: Change, actor: Actor, entry: AuditEntry): Promise<void> {
  await change.tx.query('select control.append_audit($1, $2, $3, $4, $5, $6, $7)', [
    actor.actor,
    entry.action,
    entry.target,
    entry.before === undefined ? null : JSON.stringify(entry.before),
    entry.after === undefined ? null : JSON.stringify(entry.after),
    actor.address,
    actor.requestId,
  ])
}

/** Entries, newest first, before the sequence number `before`. */
export async function listAudit(
  db: Queryable,
  filter: { target?: string | undefined; action?: string | undefined; before?: number | undefined; limit: number },
): Promise<AuditRow[]> {
  const result = await db.query<AuditRow>(
    `select * from control.audit_log
     where ($1::text is null or target = $1) and ($2::text is null or action = $2) and ($3::bigint is null or seq < $3)
     order by seq desc limit $4`,
    [filter.target ?? null, filter.action ?? null, filter.before ?? null, filter.limit],
  )
  return result.rows
}

/** The first entry that does not fit its predecessor or its own hash, or `undefined` when the whole chain holds. */
export async function findBrokenAuditEntry(db: Queryable): Promise<number | undefined> {
  const result = await db.query<{ seq: number }>(
    `select seq from (
       select entry.seq, entry.hash, control.audit_hash(entry) as right_hash, entry.previous_hash,
              lag(entry.hash, 1, repeat('0', 64)) over (order by entry.seq) as right_previous_hash,
              row_number() over (order by entry.seq) as right_seq
       from control.audit_log entry) chain
     where hash <> right_hash or previous_hash <> right_previous_hash or seq <> right_seq order by seq limit 1`,
  )
  return result.rows[0]?.seq
}
