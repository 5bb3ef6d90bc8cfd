import type pg from 'pg'
import { Problem } from '../../runtime/problem.ts'
import type { Change } from '../stores/change.ts'
import { freePlace, takePlace } from '../stores/server-store.ts'
import type { TenantRow } from '../stores/tenant-store.ts'
import type { Provisioner } from './provisioner.ts'
import type { SharedServers } from './shared-servers.ts'
import type { SpareRoles } from './spare-roles.ts'
import { createTenantSchema, dropTenantSchema } from './tenant-schema.ts'

/** `schema` isolation: a schema and a role of its own on the least loaded of the shared servers. */
export class SchemaProvisioner implements Provisioner {
  readonly isolation = 'schema'
  readonly #servers: SharedServers
  readonly #spares: SpareRoles

  constructor(servers: SharedServers, spares: SpareRoles) {
    this.#servers = servers
    this.#spares = spares
  }

  takeSpare(change: Change): Promise<{ tenantId: string; server: string } | undefined> {
    return this.#spares.take(change)
  }

  async place(change: Change): Promise<string> {
    const server = await takePlace(change, this.#servers.names())
    if (server === undefined)
      throw new Problem(503, 'no_capacity', {
        detail: 'No server of the shared tier has room for another tenant.',
        headers: { 'Retry-After': '60' },
      })
    return server
  }

  async provision(tenant: TenantRow): Promise<void> {
    if (tenant.server === null) throw new Error('The tenant has no server yet')
    await createTenantSchema(this.#servers.pool(tenant.server), tenant.tenant_id)
  }

  /** Shared servers always run. */
  async wake(): Promise<void> {}

  async connect(tenant: TenantRow, options: { replication?: boolean } = {}): Promise<pg.Client> {
    if (tenant.server === null) throw new Error('The tenant has no server yet')
    return this.#servers.connect(tenant.server, options)
  }

  /** Nothing runs for a schema tenant: its requests end at the gateway. */
  async retire(): Promise<void> {}

  async remove(tenant: TenantRow): Promise<void> {
    if (tenant.server !== null) await dropTenantSchema(this.#servers.pool(tenant.server), tenant.tenant_id)
  }

  async release(change: Change, tenant: TenantRow): Promise<void> {
    if (tenant.server !== null) await freePlace(change, tenant.server)
  }
}
