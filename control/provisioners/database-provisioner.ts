import type pg from 'pg'
import { findFreePort } from '../../runtime/free-port.ts'
import type { Sealer } from '../../runtime/seal.ts'
import type { Change, Queryable } from '../stores/change.ts'
import { deleteOwnServer, findServer, insertOwnServer } from '../stores/server-store.ts'
import type { TenantRow } from '../stores/tenant-store.ts'
import type { DataDirectories } from './own-server/data-directory.ts'
import type { OwnServers } from './own-server/supervisor.ts'
import type { Provisioner } from './provisioner.ts'
import { setUpServer } from './server-setup.ts'
import { makePassword } from './shared-servers.ts'
import { createTenantSchema } from './tenant-schema.ts'

/** Connections that one backend process may hold to a tenant's own server. */
const BACKEND_CONNECTIONS = 10

/**
 * `database` isolation: a Postgres process of its own, with its own data directory, operating-system user (where we are
 * root), passwords and port. Inside it looks like a shared server with one tenant, so a tenant can move between the two.
 */
export class DatabaseProvisioner implements Provisioner {
  readonly isolation = 'database'
  readonly #db: Queryable
  readonly #servers: OwnServers
  readonly #sealer: Sealer
  readonly #directories: DataDirectories

  constructor(options: { db: Queryable; servers: OwnServers; sealer: Sealer; directories: DataDirectories }) {
    this.#db = options.db
    this.#servers = options.servers
    this.#sealer = options.sealer
    this.#directories = options.directories
  }

  async place(change: Change, tenant: TenantRow): Promise<string> {
    const server = tenant.tenant_id
    // From the first such tenant on a spare directory is kept for the next.
    await this.#directories.prepareSpares()
    await insertOwnServer(change, {
      server,
      port: await findFreePort(),
      max_connections: BACKEND_CONNECTIONS,
      sealed_request_password: this.#sealer.seal(makePassword(), `server:${server}`),
      sealed_ddl_password: this.#sealer.seal(makePassword(), `server:${server}`),
      node: this.#servers.node,
      withUser: process.getuid?.() === 0,
    })
    return server
  }

  async provision(tenant: TenantRow): Promise<void> {
    const row = await findServer(this.#db, tenant.tenant_id)
    if (row === undefined) throw new Error('The tenant has no server yet')
    await this.#servers.ensureRunning(tenant.tenant_id)
    await this.#servers.withAdmin(tenant.tenant_id, async (client) => {
      await setUpServer(client, {
        requestPassword: this.#sealer.open(row.sealed_request_password, `server:${row.server}`),
        ddlPassword: this.#sealer.open(row.sealed_ddl_password, `server:${row.server}`),
      })
      await createTenantSchema(client, tenant.tenant_id)
    })
  }

  wake(tenant: TenantRow): Promise<void> {
    return this.#servers.ensureRunning(tenant.tenant_id)
  }

  connect(tenant: TenantRow, options: { replication?: boolean } = {}): Promise<pg.Client> {
    return this.#servers.connect(tenant.tenant_id, options)
  }

  /** The data stays where it is; the process ends. */
  async retire(tenant: TenantRow): Promise<void> {
    await this.#servers.stop(tenant.tenant_id)
  }

  async remove(tenant: TenantRow): Promise<void> {
    await this.#servers.remove(tenant.tenant_id)
  }

  async release(change: Change, tenant: TenantRow): Promise<void> {
    await deleteOwnServer(change, tenant.tenant_id)
  }
}
