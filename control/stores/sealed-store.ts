import type { Sealer } from '../../runtime/seal.ts'
import type { Change, Queryable } from './change.ts'
import { touchServer } from './server-store.ts'
import { touchTenant } from './tenant-store.ts'

type Sealed = {
  table: string
  key: string
  columns: readonly string[]
  context: (key: string) => string
  touch?: Touch
}
type Touch = (change: Change, key: string) => Promise<void>

/**
 * What lies sealed in the tables for longer than a day, and for which place. (What is kept for a repeated request is sealed as
 * well, and is gone after a day.)
 */
const SEALED: readonly Sealed[] = [
  {
    table: 'servers',
    key: 'server',
    columns: ['sealed_request_password', 'sealed_ddl_password', 'sealed_replica_password'],
    context: (server) => `server:${server}`,
    touch: touchServer,
  },
  {
    table: 'tenants',
    key: 'tenant_id',
    columns: ['jwt_sealed_secret'],
    context: (tenantId) => `jwt:${tenantId}`,
    touch: touchTenant,
  },
  { table: 'webhooks', key: 'webhook_id', columns: ['sealed_secret'], context: (id) => `webhook:${id}` },
]

/** One row with something that was sealed under a key that is no longer the first. */
export type StaleRow = { kind: number; key: string }

/** Rows to seal anew, some at a time. */
export async function listStale(db: Queryable, sealer: Sealer, limit: number): Promise<StaleRow[]> {
  const stale: StaleRow[] = []
  for (const [kind, { table, key, columns }] of SEALED.entries()) {
    const isStale = columns
      .map((column) => `(${column} is not null and split_part(${column}, '.', 2) <> $1)`)
      .join(' or ')
    const found = await db.query<{ key: string }>(
      `select ${key} as key from control.${table} where ${isStale} order by 1 limit $2`,
      [sealer.currentKeyId, limit - stale.length],
    )
    stale.push(...found.rows.map((row) => ({ kind, key: row.key })))
    if (stale.length >= limit) break
  }
  return stale
}

/** Seals what a row holds under the first key; whoever reads its document gets the new one. */
export async function sealAnew(change: Change, sealer: Sealer, { kind, key }: StaleRow): Promise<void> {
  const what = SEALED[kind]
  if (what === undefined) return
  const found = await change.tx.query<Record<string, string | null>>(
    `select ${what.columns.join(', ')} from control.${what.table} where ${what.key} = $1 for update`,
    [key],
  )
  for (const [column, sealed] of Object.entries(found.rows[0] ?? {})) {
    if (sealed === null || !sealer.isStale(sealed)) continue
    const context = what.context(key)
    await change.tx.query(`update control.${what.table} set ${column} = $2 where ${what.key} = $1`, [
      key,
      sealer.seal(sealer.open(sealed, context), context),
    ])
  }
  await what.touch?.(change, key)
}
