import type pg from 'pg'
import { findFreePort } from '../../runtime/free-port.ts'
import type { Sealer } from '../../runtime/seal.ts'
import type { Change, Queryable } from '../stores/change.ts'
import { deleteCluster, findCluster, insertCluster } from '../stores/cluster-store.ts'
import type { TenantRow } from '../stores/tenant-store.ts'
import { clusterName } from './cluster/cluster-parts.ts'
import type { Clusters } from './cluster/clusters.ts'
import type { DataDirectories } from './own-server/data-directory.ts'
import type { Provisioner } from './provisioner.ts'
import { setUpServer } from './server-setup.ts'
import { makePassword } from './shared-servers.ts'
import { createTenantSchema } from './tenant-schema.ts'

/** Connections that one backend process may hold to the primary. */
const BACKEND_CONNECTIONS = 20
/** A primary and two standbys: one of them may be lost, and the other still acknowledges. */
const NODES = 3

/**
 * `cluster` isolation: a primary and two standbys, each a Postgres process of its own with its own data directory and
 * operating-system user, of which one more than the primary has every acknowledged commit. Inside it looks like a `database`
 * tenant's server, so a tenant can move between them.
 */
export class ClusterProvisioner implements Provisioner {
  readonly isolation = 'cluster'
  readonly #db: Queryable
  readonly #clusters: Clusters
  readonly #sealer: Sealer
  readonly #directories: DataDirectories

  constructor(options: { db: Queryable; clusters: Clusters; sealer: Sealer; directories: DataDirectories }) {
    this.#db = options.db
    this.#clusters = options.clusters
    this.#sealer = options.sealer
    this.#directories = options.directories
  }

  async place(change: Change, tenant: TenantRow): Promise<string> {
    const server = clusterName(tenant.tenant_id)
    await this.#directories.prepareSpares()
    const seal = () => this.#sealer.seal(makePassword(), `server:${server}`)
    const ports = await Promise.all(Array.from({ length: NODES }, findFreePort))
    await insertCluster(change, {
      server,
      ports,
      max_connections: BACKEND_CONNECTIONS,
      sealed_request_password: seal(),
      sealed_ddl_password: seal(),
      sealed_replica_password: seal(),
      node: this.#clusters.machine,
      withUsers: process.getuid?.() === 0,
    })
    return server
  }

  async provision(tenant: TenantRow): Promise<void> {
    const server = clusterName(tenant.tenant_id)
    const row = await findCluster(this.#db, server)
    if (row === undefined) throw new Error('The tenant has no cluster yet')
    await this.#clusters.ensureRunning(server)
    await this.#clusters.withAdmin(server, async (client) => {
      await setUpServer(client, {
        requestPassword: this.#sealer.open(row.sealed_request_password, `server:${server}`),
        ddlPassword: this.#sealer.open(row.sealed_ddl_password, `server:${server}`),
      })
      await createTenantSchema(client, tenant.tenant_id)
    })
    await this.#clusters.makeWhole(server)
  }

  wake(tenant: TenantRow): Promise<void> {
    return this.#clusters.ensureRunning(clusterName(tenant.tenant_id))
  }

  connect(tenant: TenantRow, options: { replication?: boolean } = {}): Promise<pg.Client> {
    return this.#clusters.connect(clusterName(tenant.tenant_id), options)
  }

  /** The data stays where it is; the processes end. */
  async retire(tenant: TenantRow): Promise<void> {
    await this.#clusters.stop(clusterName(tenant.tenant_id))
  }

  async remove(tenant: TenantRow): Promise<void> {
    if ((await findCluster(this.#db, clusterName(tenant.tenant_id))) === undefined) return
    await this.#clusters.remove(clusterName(tenant.tenant_id))
  }

  async release(change: Change, tenant: TenantRow): Promise<void> {
    await deleteCluster(change, clusterName(tenant.tenant_id))
  }
}
