import type pg from 'pg'
import type { PostgresPool } from '../../../runtime/postgres-pool.ts'
import type { Sealer } from '../../../runtime/seal.ts'
import type { Isolation, PlanCatalogue } from '../../../tenancy/plan.ts'
import type { Change } from '../../stores/change.ts'
import {
  allowLonger,
  deleteKubernetesServer,
  findKubernetesServer,
  insertKubernetesServer,
} from '../../stores/kubernetes-server-store.ts'
import type { TenantRow } from '../../stores/tenant-store.ts'
import type { Provisioner } from '../provisioner.ts'
import { setUpServer } from '../server-setup.ts'
import { makePassword } from '../shared-servers.ts'
import { createTenantSchema } from '../tenant-schema.ts'
import { DATABASE, DATABASE_OWNER } from './cluster-manifest.ts'
import type { KubernetesServers } from './kubernetes-servers.ts'
import { resourceName, serverName } from './names.ts'
import { type WantedServer, wantServer } from './wanted-server.ts'

/** Connections that one backend process may hold. */
const BACKEND_CONNECTIONS: Readonly<Record<string, number>> = { database: 10, cluster: 20 }
/** Images are pulled, nodes may have to come up, volumes are made and copied. */
const DEADLINE_SECONDS = 900

/** Where a server is reached: CloudNativePG's Services. Tests have other addresses. */
export type AddressOf = (resource: string, namespace: string) => { host: string; port: number; replicaHost: string }

export const serviceAddress: AddressOf = (resource, namespace) => ({
  host: `${resource}-rw.${namespace}.svc`,
  port: 5432,
  replicaHost: `${resource}-ro.${namespace}.svc`,
})

/**
 * `database` and `cluster` isolation on Kubernetes: one instance of CloudNativePG, or three with synchronous replication on nodes that no other
 * tenant is on. Inside it looks like every server of a tenant's own.
 */
export class KubernetesProvisioner implements Provisioner {
  readonly isolation: Isolation
  readonly #pool: PostgresPool
  readonly #servers: KubernetesServers
  readonly #sealer: Sealer
  readonly #catalogue: PlanCatalogue
  readonly #addressOf: AddressOf
  readonly #beforeStop: (tenantId: string) => Promise<void>

  constructor(options: {
    isolation: 'database' | 'cluster'
    pool: PostgresPool
    servers: KubernetesServers
    sealer: Sealer
    catalogue: PlanCatalogue
    addressOf?: AddressOf
    /** Measures what has run. */
    beforeStop: (tenantId: string) => Promise<void>
  }) {
    this.isolation = options.isolation
    this.#pool = options.pool
    this.#servers = options.servers
    this.#sealer = options.sealer
    this.#catalogue = options.catalogue
    this.#addressOf = options.addressOf ?? serviceAddress
    this.#beforeStop = options.beforeStop
  }

  async place(change: Change, tenant: TenantRow): Promise<string> {
    const server = this.#server(tenant)
    const { namespace } = this.#servers.settings
    const { host, port, replicaHost } = this.#addressOf(resourceName(server), namespace)
    const seal = () => this.#sealer.seal(makePassword(), `server:${server}`)
    await insertKubernetesServer(change, {
      server,
      host,
      port,
      database: DATABASE,
      replica_host: this.isolation === 'cluster' ? replicaHost : null,
      max_connections: BACKEND_CONNECTIONS[this.isolation] ?? 10,
      sealed_request_password: seal(),
      sealed_ddl_password: seal(),
      sealed_replica_password: seal(),
      node: namespace,
    })
    return server
  }

  async provision(tenant: TenantRow): Promise<void> {
    const server = this.#server(tenant)
    const row = await findKubernetesServer(this.#pool, server)
    if (row === undefined) throw new Error('The tenant has no server on Kubernetes yet')
    await allowLonger(this.#pool, tenant.tenant_id, DEADLINE_SECONDS)
    await this.#servers.ensureRunning(this.want(tenant))
    await this.#servers.withAdmin(server, async (client) => {
      // CloudNativePG makes it and keeps its password in a Secret.
      await client.query(`alter role ${DATABASE_OWNER} nologin`)
      await setUpServer(client, {
        requestPassword: this.#sealer.open(row.sealed_request_password, `server:${server}`),
        ddlPassword: this.#sealer.open(row.sealed_ddl_password, `server:${server}`),
      })
      await createTenantSchema(client, tenant.tenant_id)
    })
  }

  /** What the tenant's plan and quotas make of its server. */
  want(tenant: Pick<TenantRow, 'tenant_id' | 'plan' | 'quotas'>): WantedServer {
    const { unlimitedStorageGib } = this.#servers.settings
    return wantServer(tenant, this.isolation, { catalogue: this.#catalogue, unlimitedStorageGib })
  }

  wake(tenant: TenantRow): Promise<void> {
    return this.#servers.ensureRunning(this.want(tenant))
  }

  connect(tenant: TenantRow, options: { replication?: boolean } = {}): Promise<pg.Client> {
    return this.#servers.connect(this.#server(tenant), options)
  }

  /** The volumes stay; the instances end. */
  async retire(tenant: TenantRow): Promise<void> {
    await this.#beforeStop(tenant.tenant_id)
    await this.#servers.hibernate(this.#server(tenant))
  }

  async remove(tenant: TenantRow): Promise<void> {
    if ((await findKubernetesServer(this.#pool, this.#server(tenant))) === undefined) return
    await this.#beforeStop(tenant.tenant_id)
    await this.#servers.remove(this.#server(tenant))
  }

  async release(change: Change, tenant: TenantRow): Promise<void> {
    await deleteKubernetesServer(change, this.#server(tenant))
  }

  #server(tenant: TenantRow): string {
    return serverName(tenant.tenant_id, this.isolation)
  }
}
