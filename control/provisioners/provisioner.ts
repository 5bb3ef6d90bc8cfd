import type pg from 'pg'
import type { Isolation } from '../../tenancy/plan.ts'
import type { Change } from '../stores/change.ts'
import type { TenantRow } from '../stores/tenant-store.ts'

/**
 * Makes and removes the place where a tenant's data lives, for one degree of isolation. Every call may be repeated, also
 * after it was cut off in the middle: it brings the world to the wanted state and does nothing where it is there already.
 */
export type Provisioner = {
  readonly isolation: Isolation
  /** An id made ahead for a tenant to come, on the server that its role is on; the change counts its place (`occupyPlace`). */
  takeSpare?(change: Change): Promise<{ tenantId: string; server: string } | undefined>
  /**
   * Chooses the server for the tenant and takes the place there, inside the change; the name is stored with the tenant.
   * @throws Problem 503 `no_capacity` when there is no room.
   */
  place(change: Change, tenant: TenantRow): Promise<string>
  /** Lays down what the tenant needs on its server (`tenant.server`), walls included; serving may begin when it resolves. */
  provision(tenant: TenantRow): Promise<void>
  /** Starts what has to run for the tenant's server to be reached; it changes nothing there. */
  wake(tenant: TenantRow): Promise<void>
  /**
   * An administrator's connection to the tenant's server, on which its schema lies whatever the isolation; whoever asks for it
   * ends it. With `replication` it can make replication slots and takes simple statements only.
   */
  connect(tenant: TenantRow, options?: { replication?: boolean }): Promise<pg.Client>
  /** Ends what runs for a deleted tenant; its data stays. */
  retire(tenant: TenantRow): Promise<void>
  /** Removes every trace of the tenant from its server. */
  remove(tenant: TenantRow): Promise<void>
  /** Gives the place back, inside the change that forgets the tenant, which no longer names its server by then. */
  release(change: Change, tenant: TenantRow): Promise<void>
}
