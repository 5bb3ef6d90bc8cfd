import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { AuditedServer } from './audit-server.ts'

/**
 * The names under which control knows these servers: by system identifier and database, as control registers them. A server that
 * is not registered is called by its place in the list.
 */
export async function nameServers(
  pools: readonly PostgresPool[],
  metadata: PostgresPool | undefined,
): Promise<AuditedServer[]> {
  const known = new Map<string, string>()
  const present = await metadata?.query<{ present: boolean }>(
    `select to_regclass('control.servers') is not null as present`,
  )
  if (present?.rows[0]?.present === true) {
    const rows = await metadata?.query<{ identity: string; server: string }>(
      'select identity, server from control.servers',
    )
    for (const { identity, server } of rows?.rows ?? []) known.set(identity, server)
  }
  return Promise.all(
    pools.map(async (pool, i) => {
      const identity = await pool.query<{ identity: string }>(
        `select system_identifier::text || '/' || current_database() as identity from pg_control_system()`,
      )
      return { name: known.get(identity.rows[0]?.identity ?? '') ?? `shared-${i}`, pool }
    }),
  )
}
