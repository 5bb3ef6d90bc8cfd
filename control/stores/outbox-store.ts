import type { Change, Queryable, TouchedDocument } from './change.ts'

/** Notes that a document is behind: in the outbox, for the case that we die, and in the change, for us. */
export async function markTouched(
  change: Change,
  kind: TouchedDocument['kind'],
  key: string,
  version: number,
): Promise<void> {
  await change.tx.query(
    `insert into control.outbox (kind, key, version) values ($1, $2, $3)
     on conflict (kind, key) do update set version = greatest(excluded.version, outbox.version)`,
    [kind, key, version],
  )
  change.touched.push({ kind, key })
}

/** Documents that are still to be published, oldest change first. */
export async function listOutbox(db: Queryable, limit: number): Promise<TouchedDocument[]> {
  const result = await db.query<TouchedDocument>('select kind, key from control.outbox order by version limit $1', [
    limit,
  ])
  return result.rows
}

/** Forgets what was published, unless a later change has touched it again. */
export async function clearOutbox(db: Queryable, document: TouchedDocument, upToVersion: number): Promise<void> {
  await db.query('delete from control.outbox where kind = $1 and key = $2 and version <= $3', [
    document.kind,
    document.key,
    upToVersion,
  ])
}
