import type pg from 'pg'
import type { Logger } from '../../runtime/log.ts'
import { withPostgres } from '../../runtime/postgres-client.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { Problem } from '../../runtime/problem.ts'
import type { Sealer } from '../../runtime/seal.ts'
import type { Isolation } from '../../tenancy/plan.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import type { Provisioner } from '../provisioners/provisioner.ts'
import type { PublishTouched } from '../stores/change.ts'
import { findMove, type MoveRow } from '../stores/move-store.ts'
import type { TenantRow } from '../stores/tenant-store.ts'
import type { Ends } from './cut-over.ts'
import { replicationName } from './replication.ts'

export type MoveOptions = {
  pool: PostgresPool
  publish: PublishTouched
  provisioners: Partial<Record<Isolation, Provisioner>>
  sealer: Sealer
  log: Logger
  /** How long the old server is kept after the switch; tests do not wait. */
  graceMs?: number
  /** Tests kill the process here: between two side effects inside of a step. */
  at?: (point: 'copied' | 'held' | 'sealed') => Promise<void> | void
}

/** The two sides of a move: the tenant as it is on each, and who keeps it there. */
export type Both = { move: MoveRow; from: Provisioner; to: Provisioner; source: TenantRow; target: TenantRow }

export async function readBoth(options: MoveOptions, tenant: TenantRow): Promise<Both> {
  const move = await findMove(options.pool, tenant.tenant_id)
  return {
    move,
    from: provisionerOf(options, move.from_isolation),
    to: provisionerOf(options, move.to_isolation),
    source: { ...tenant, isolation: move.from_isolation, server: move.from_server },
    target: { ...tenant, isolation: move.to_isolation, server: move.to_server },
  }
}

/** @throws Problem 409 when the platform does not have that isolation (any more). */
export function provisionerOf({ provisioners }: MoveOptions, isolation: Isolation): Provisioner {
  const provisioner = provisioners[isolation]
  if (provisioner === undefined)
    throw new Problem(409, 'isolation_not_available', { detail: `There is no ${isolation} isolation here.` })
  return provisioner
}

/**
 * Opens connections to both ends. One attempt at a time works on a move: another's, whose process lost its lease without
 * noticing, holds the lock on the source, and the seal is made on the connection that holds it.
 */
export async function withEnds(both: Both, work: (ends: Ends, replication: () => Promise<pg.Client>) => Promise<void>) {
  const schema = tenantSchemaName(both.source.tenant_id)
  await withPostgres(both.from.connect(both.source), (holder) =>
    withPostgres(both.from.connect(both.source), (source) =>
      withPostgres(both.to.connect(both.target), async (target) => {
        await holder.query(`set lock_timeout = '20s'`)
        await holder.query(`select pg_advisory_lock(hashtextextended('aerodb.move-of:' || $1, 0))`, [schema])
        await holder.query(`set lock_timeout = 0`)
        await source.query(`set lock_timeout = '2s'; set search_path = ''`)
        await target.query(`set lock_timeout = '5s'; set search_path = ''`)
        const ends = { source, holder, target, schema, move: replicationName(both.source.tenant_id) }
        await work(ends, () => both.from.connect(both.source, { replication: true }))
      }),
    ),
  )
}
