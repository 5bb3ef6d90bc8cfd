import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { Isolation } from '../../tenancy/plan.ts'
import { inOneReplica } from '../one-replica.ts'
import type { Provisioner } from '../provisioners/provisioner.ts'
import { OBJECTS_VERSION } from '../provisioners/tenant-schema.ts'
import { Slots } from '../slots.ts'
import type { BackendClient } from '../stores/backend-client.ts'
import { findTenant } from '../stores/tenant-store.ts'
import {
  type DueTenant,
  listDueUpgrades,
  noteUpgraded,
  noteUpgradeFailed,
  type TargetVersions,
} from '../stores/upgrade-store.ts'

const BATCH = 100
/** Tenants upgraded at once: each holds a connection to its server and locks of its own tables for a moment. */
const CONCURRENCY = 4

export type UpgradeOptions = {
  pool: PostgresPool
  provisioners: Partial<Record<Isolation, Provisioner>>
  backends: BackendClient
  log: Logger
  /** Tests kill the process here. */
  afterEach?: () => Promise<void> | void
}

/**
 * Brings tenants' objects up to date after a release, one tenant after the other while they serve. Each is noted when it is
 * done, so a killed control costs the tenants under way and nothing else. Every step changes nothing where it was made already,
 * and what it makes serves backends of the release before as well. Tenants that sleep are upgraded once they run.
 */
export async function upgradeTenants(options: UpgradeOptions): Promise<void> {
  const { pool, log } = options
  await inOneReplica(pool, 'upgrades', async () => {
    const target = await readTarget(options)
    const slots = new Slots(CONCURRENCY)
    for (;;) {
      const due = await listDueUpgrades(pool, target, BATCH)
      if (due.length === 0) return
      await Promise.all(due.map((tenant) => slots.run(() => upgradeTenant(options, tenant, target))))
      log.info({ upgraded: due.length }, 'objects of tenants were upgraded')
    }
  })
}

/** What tenants are to have now. */
export async function readTarget({ backends }: Pick<UpgradeOptions, 'backends'>): Promise<TargetVersions> {
  return { objects: OBJECTS_VERSION, tables: (await backends.readTablesVersion()) ?? null }
}

async function upgradeTenant(options: UpgradeOptions, due: DueTenant, target: TargetVersions): Promise<void> {
  const { pool, log } = options
  try {
    const tenant = await findTenant(pool, due.tenant_id)
    if (tenant === undefined || tenant.server === null) return
    if (due.objects_version < target.objects) await options.provisioners[tenant.isolation]?.provision(tenant)
    const tables =
      due.tables_version < (target.tables ?? 0)
        ? await options.backends.upgradeTables(tenant.tenant_id, tenant.server)
        : due.tables_version
    await noteUpgraded(pool, tenant.tenant_id, { objects: target.objects, tables })
    await options.afterEach?.()
  } catch (fault) {
    log.warn({ err: fault, tenant_id: due.tenant_id }, 'the objects of a tenant could not be upgraded')
    await noteUpgradeFailed(pool, due.tenant_id, (fault as Error).message)
  }
}
