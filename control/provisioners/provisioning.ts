import type { Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/log.ts'
import { findPostgresBinaries } from '../../runtime/postgres-binaries.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { Sealer } from '../../runtime/seal.ts'
import { findUnprivilegedUser } from '../../runtime/unprivileged-user.ts'
import type { Isolation, PlanCatalogue } from '../../tenancy/plan.ts'
import { makeChange, type PublishTouched } from '../stores/change.ts'
import { lockTenant, updateTenant } from '../stores/tenant-store.ts'
import type { NodeStatus } from './cluster/cluster-status.ts'
import { Clusters } from './cluster/clusters.ts'
import type { DedicatedBackends } from './cluster/dedicated-backends.ts'
import { ClusterProvisioner } from './cluster-provisioner.ts'
import { ComputeMeter, type ComputeSource } from './compute-meter.ts'
import { DatabaseProvisioner } from './database-provisioner.ts'
import type { KubernetesConfig } from './kubernetes/kubernetes-config.ts'
import type { AddressOf } from './kubernetes/kubernetes-provisioner.ts'
import { type Kubernetes, startKubernetes } from './kubernetes/start-kubernetes.ts'
import { DataDirectories } from './own-server/data-directory.ts'
import { TenantSleep } from './own-server/sleep.ts'
import { OwnServers } from './own-server/supervisor.ts'
import { prepareTenantsDirectory } from './own-server/tenants-directory.ts'
import type { Provisioner } from './provisioner.ts'
import { SchemaProvisioner } from './schema-provisioner.ts'
import { makeReadMemory } from './server-memory.ts'
import { SharedServers } from './shared-servers.ts'
import { SpareRoles } from './spare-roles.ts'

export type Provisioning = {
  /** The provisioners that this platform has; a plan may offer more. */
  provisioners: Partial<Record<Isolation, Provisioner>>
  sleep: TenantSleep
  shared: SharedServers
  spares: SpareRoles
  servers: OwnServers
  clusters: Clusters
  compute: ComputeMeter
  kubernetes: Kubernetes | undefined
  /** The nodes of a cluster tenant's server. */
  readNodes: (server: string) => Promise<NodeStatus[]>
  /** Where the data directories of tenants' own servers lie. */
  tenantsDirectory: string
  close: () => Promise<void>
}

/** Prepares the shared servers, takes over the tenants' own servers that run here, and makes the provisioners. */
export async function startProvisioning(options: {
  pool: PostgresPool
  publish: PublishTouched
  sealer: Sealer
  sharedUrls: readonly string[]
  dataDirectory: string
  /** Leaves the tenants' own servers running when it is closed. */
  keepServers: boolean
  /** Where cluster tenants have backends of their own. */
  backends: DedicatedBackends | undefined
  catalogue: PlanCatalogue
  kubernetes: KubernetesConfig
  /** Where servers on Kubernetes are reached; by CloudNativePG's Services unless given. */
  addressOf?: AddressOf
  clock: Clock
  log: Logger
}): Promise<Provisioning> {
  const { pool, publish, sealer, log } = options
  const shared = new SharedServers()
  try {
    await shared.open({ urls: options.sharedUrls, metadata: pool, sealer, publish, log })
    const spares = new SpareRoles({ pool, servers: shared })
    const initdbUser = await findUnprivilegedUser()
    const { path, node } = await prepareTenantsDirectory(options.dataDirectory)
    const binaries = await findPostgresBinaries(initdbUser)
    const directories = new DataDirectories({ root: path, binaries, initdbUser, log })
    const compute: ComputeMeter = new ComputeMeter({
      pool,
      clock: options.clock,
      source: {
        listRunning: async () => (await Promise.all(sources().map((source) => source.listRunning()))).flat(),
        findRunning: async (tenantId) => {
          for (const source of sources()) {
            const found = await source.findRunning(tenantId)
            if (found !== undefined) return found
          }
          return undefined
        },
      },
    })
    const sources = (): ComputeSource[] => [
      servers,
      clusters,
      ...(kubernetes === undefined ? [] : [kubernetes.servers]),
    ]
    const memoryOf = (isolation: Isolation) => makeReadMemory(pool, options.catalogue, isolation)
    const beforeStop = (tenantId: string) => compute.measureNow(tenantId)
    const servers = new OwnServers({
      pool,
      publish,
      directories,
      binaries,
      node,
      log,
      beforeStop,
      readMemory: memoryOf('database'),
    })
    const clusters = new Clusters({
      pool,
      publish,
      sealer,
      directories,
      binaries,
      machine: node,
      backends: options.backends,
      readMemory: memoryOf('cluster'),
      log,
      beforeStop,
    })
    const kubernetes = await startKubernetes({
      config: options.kubernetes,
      pool,
      sealer,
      catalogue: options.catalogue,
      addressOf: options.addressOf,
      beforeStop,
    })
    clusters.start()
    servers.start(await takeOver(pool, publish, servers))
    return {
      provisioners: {
        schema: new SchemaProvisioner(shared, spares),
        database: new DatabaseProvisioner({ db: pool, servers, sealer, directories }),
        cluster: new ClusterProvisioner({ db: pool, clusters, sealer, directories }),
        ...kubernetes?.provisioners,
      },
      kubernetes,
      readNodes: (server) =>
        kubernetes === undefined ? clusters.readStatus(server) : kubernetes.servers.readNodes(server),
      sleep: new TenantSleep({ pool, publish, servers, log }),
      servers,
      clusters,
      compute,
      tenantsDirectory: path,
      shared,
      spares,
      close: async () => {
        const [, kept] = await Promise.all([servers.close(), clusters.close()])
        // Only now: one that was being started is among them, and none is started any more.
        const running = servers.watched()
        if (!options.keepServers)
          await Promise.all([
            ...running.map((tenantId) => servers.stop(tenantId)),
            ...kept.map((server) => clusters.stop(server)),
          ])
        await directories.close()
        await shared.close()
      },
    }
  } catch (fault) {
    await shared.close()
    throw fault
  }
}

/** The tenants whose servers run here already. One that should run and does not sleeps: its next request wakes it. */
async function takeOver(pool: PostgresPool, publish: PublishTouched, servers: OwnServers): Promise<string[]> {
  const known = await pool.query<{ tenant_id: string }>(
    `select tenant_id from control.tenants join control.servers using (server)
     where kind = 'tenant' and node = $1 and status in ('active', 'suspended', 'migrating')`,
    [servers.node],
  )
  const running: string[] = []
  for (const { tenant_id } of known.rows) {
    if (await servers.isRunning(tenant_id)) running.push(tenant_id)
    else
      await makeChange(pool, publish, async (change) => {
        if ((await lockTenant(change, tenant_id))?.status === 'active')
          await updateTenant(change, tenant_id, { status: 'paused' })
      })
  }
  return running
}
