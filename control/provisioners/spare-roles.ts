import { makeId } from '../../runtime/ids.ts'
import { inTransaction, type PostgresPool } from '../../runtime/postgres-pool.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import type { Change } from '../stores/change.ts'
import type { SharedServers } from './shared-servers.ts'
import { makeTenantRolesSql } from './tenant-schema.ts'

/** Made at once when fewer than half of them are left. */
const BATCH = 128

/**
 * Roles for tenants to come, made many at a time. Each change of roles or memberships makes every connection of the request
 * login work out anew which roles it may become, at some 10 µs a membership: at 10 000 tenants a create would cost every pooled
 * connection a tenth of a second. Made in batches, that is paid once in a hundred creates. A role is named by its tenant's id,
 * so the id is made ahead with it.
 */
export class SpareRoles {
  readonly #pool: PostgresPool
  readonly #servers: SharedServers

  constructor(options: { pool: PostgresPool; servers: SharedServers }) {
    this.#pool = options.pool
    this.#servers = options.servers
  }

  /**
   * Takes an id with its role on the least loaded server that has room, inside the change, which counts the place itself.
   * @returns `undefined` when none is left: then the role is made with the tenant.
   */
  async take(change: Change): Promise<{ tenantId: string; server: string } | undefined> {
    const taken = await change.tx.query<{ tenant_id: string; server: string }>(
      `delete from control.spare_roles where tenant_id = (
         select tenant_id from control.spare_roles join control.servers using (server)
         where not draining and tenant_count < capacity and server = any($1)
         order by tenant_count::float8 / capacity, server, tenant_id limit 1 for update of spare_roles skip locked)
       returning tenant_id, server`,
      [this.#servers.names()],
    )
    const [spare] = taken.rows
    return spare === undefined ? undefined : { tenantId: spare.tenant_id, server: spare.server }
  }

  /**
   * Makes roles on every server that has few left. The roles are committed before their ids are noted: a crash in between
   * leaves roles that can reach nothing, which the isolation audit names.
   */
  async refill(): Promise<void> {
    for (const { name, pool } of this.#servers.list())
      await inTransaction(this.#pool, async (tx) => {
        // One replica at a time fills a server.
        const lock = await tx.query<{ got: boolean }>(
          `select pg_try_advisory_xact_lock(hashtextextended('control.spare-roles:' || $1, 0)) as got`,
          [name],
        )
        const left = await tx.query<{ count: number; draining: boolean }>(
          `select (select count(*)::int from control.spare_roles where server = $1) as count, draining
           from control.servers where server = $1`,
          [name],
        )
        const count = left.rows[0]?.count ?? 0
        const isFull = left.rows[0]?.draining === true || count >= BATCH / 2
        if (lock.rows[0]?.got !== true || isFull) return
        const ids = Array.from({ length: BATCH - count }, () => makeId('ten')).toSorted()
        await pool.query(makeTenantRolesSql(ids.map(tenantSchemaName)))
        await tx.query('insert into control.spare_roles (tenant_id, server) select unnest($1::text[]), $2', [ids, name])
      })
  }
}
