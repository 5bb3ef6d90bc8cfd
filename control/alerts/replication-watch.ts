import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { type NewAlert, openAlerts, resolveOthers } from '../stores/alert-store.ts'
import { makeChange, type PublishTouched, type Queryable } from '../stores/change.ts'

const KIND = 'replication_lag'
/** A standby, or a reader of changes, that is further behind than this is told of. */
const MAX_LAG_SECONDS = 30
const MAX_LAG_BYTES = 268_435_456

/** A server whose followers are looked at: a shared one, or the primary of a tenant's cluster. */
export type ReplicatedServer = {
  name: string
  tenantId: string | null
  /** A connection that may read `pg_stat_replication`. */
  withAdmin: <Result>(work: (db: Queryable) => Promise<Result>) => Promise<Result>
}

/** How far one follower of a server is behind. */
export type Follower = { name: string; lag_seconds: number; lag_bytes: number }

/** Opens an alert for each follower that is too far behind. A server that does not answer is an outage, told elsewhere. */
export async function watchReplication(options: {
  servers: readonly ReplicatedServer[]
  pool: PostgresPool
  publish: PublishTouched
  log: Logger
}): Promise<void> {
  const { servers, pool, publish, log } = options
  const found = await Promise.all(
    servers.map(async (server) => {
      try {
        return judgeFollowers(server, await server.withAdmin(readFollowers))
      } catch (fault) {
        log.debug({ err: fault, server: server.name }, 'the followers of a server could not be read')
        return []
      }
    }),
  )
  const alerts = found.flat()
  await makeChange(pool, publish, async (change) => {
    await openAlerts(change, alerts)
    await resolveOthers(
      change,
      KIND,
      alerts.map(({ fingerprint }) => fingerprint),
    )
  })
}

/** Standbys by what they have replayed; slots that nobody reads by the log that they hold back. */
export async function readFollowers(db: Queryable): Promise<Follower[]> {
  const result = await db.query<Follower>(
    `select application_name as name, coalesce(extract(epoch from replay_lag), 0)::float8 as lag_seconds,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::float8 as lag_bytes
     from pg_stat_replication where state in ('streaming', 'catchup') and not pg_is_in_recovery()
     union all
     select 'slot ' || slot_name, 0, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8
     from pg_replication_slots where not active and restart_lsn is not null and not pg_is_in_recovery()`,
  )
  return result.rows
}

/** The followers that are worth an alert. Pure. */
export function judgeFollowers(
  server: Pick<ReplicatedServer, 'name' | 'tenantId'>,
  followers: readonly Follower[],
): NewAlert[] {
  return followers
    .filter(({ lag_seconds, lag_bytes }) => lag_seconds > MAX_LAG_SECONDS || lag_bytes > MAX_LAG_BYTES)
    .map(({ name, lag_seconds, lag_bytes }) => ({
      fingerprint: `${KIND}:${server.name}:${name}`,
      kind: KIND,
      severity: 'warning' as const,
      tenantId: server.tenantId,
      groupKey: `${KIND}:${server.name}`,
      detail: `${name} is ${lag_seconds.toFixed(1)} s and ${lag_bytes} bytes behind ${server.name}.`,
      attributes: { server: server.name, follower: name, lag_seconds, lag_bytes },
    }))
}
