import type { Change, Queryable } from '../stores/change.ts'

export type SilenceRow = {
  silence_id: string
  /** What is not null must be equal to the alert's. */
  kind: string | null
  severity: string | null
  tenant_id: string | null
  group_key: string | null
  starts_at: Date
  ends_at: Date
  reason: string
  created_at: Date
}

/** Whether an alert (`alert` in the statement) is silenced at the moment `$at`. */
export function isSilencedSql(at: string): string {
  return `exists (select from control.silences silence
    where silence.starts_at <= ${at} and silence.ends_at > ${at}
      and (silence.kind is null or silence.kind = alert.kind)
      and (silence.severity is null or silence.severity = alert.severity)
      and (silence.tenant_id is null or silence.tenant_id = alert.tenant_id)
      and (silence.group_key is null or silence.group_key = alert.group_key))`
}

export async function insertSilence(change: Change, silence: Omit<SilenceRow, 'created_at'>): Promise<SilenceRow> {
  const result = await change.tx.query<SilenceRow>(
    `insert into control.silences (silence_id, kind, severity, tenant_id, group_key, starts_at, ends_at, reason)
     values ($1, $2, $3, $4, $5, $6, $7, $8) returning *`,
    [
      silence.silence_id,
      silence.kind,
      silence.severity,
      silence.tenant_id,
      silence.group_key,
      silence.starts_at,
      silence.ends_at,
      silence.reason,
    ],
  )
  const row = result.rows[0]
  if (row === undefined) throw new Error('unreachable')
  return row
}

/** Silences, newest first, after the id `before`. */
export async function listSilences(
  db: Queryable,
  page: { before?: string | undefined; limit: number },
): Promise<SilenceRow[]> {
  const result = await db.query<SilenceRow>(
    'select * from control.silences where ($1::text is null or silence_id < $1) order by silence_id desc limit $2',
    [page.before ?? null, page.limit],
  )
  return result.rows
}

/** Ends a silence at `at`, unless it is over; gives it as it was. */
export async function endSilence(change: Change, silenceId: string, at: Date): Promise<SilenceRow | undefined> {
  const found = await change.tx.query<SilenceRow>('select * from control.silences where silence_id = $1 for update', [
    silenceId,
  ])
  await change.tx.query(
    'update control.silences set ends_at = greatest($2, starts_at) where silence_id = $1 and ends_at > $2',
    [silenceId, at],
  )
  return found.rows[0]
}
