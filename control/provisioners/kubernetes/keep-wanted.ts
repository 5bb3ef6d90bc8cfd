import type { Logger } from '../../../runtime/log.ts'
import { inTransaction, type PostgresPool } from '../../../runtime/postgres-pool.ts'
import { inOneReplica } from '../../one-replica.ts'
import { listKubernetesTenants } from '../../stores/kubernetes-server-store.ts'
import type { KubernetesProvisioner } from './kubernetes-provisioner.ts'
import type { KubernetesServers } from './kubernetes-servers.ts'
import { resourceName, serverName } from './names.ts'

/**
 * Brings servers to what their tenants' plans want of them by now (memory, storage, and what a release of ours changed), and those back that
 * somebody took away. One request where nothing has changed.
 */
export async function keepWanted(options: {
  pool: PostgresPool
  servers: KubernetesServers
  provisioners: readonly KubernetesProvisioner[]
  log: Logger
}): Promise<void> {
  const { pool, servers, provisioners, log } = options
  await inOneReplica(pool, 'kubernetes', async () => {
    const tenants = await listKubernetesTenants(pool)
    if (tenants.length === 0) return
    const clusters = new Map((await servers.listClusters()).map((cluster) => [cluster.metadata.name, cluster]))
    for (const tenant of tenants) {
      const provisioner = provisioners.find(({ isolation }) => isolation === tenant.isolation)
      if (provisioner === undefined) continue
      const wanted = provisioner.want(tenant)
      const cluster = clusters.get(resourceName(serverName(tenant.tenant_id, tenant.isolation)))
      if (servers.isAsWanted(cluster, wanted)) continue
      try {
        await inTransaction(pool, async (tx) => {
          // Held, so that nobody deletes the tenant while its server is laid down.
          const living = await tx.query(
            `select from control.tenants where tenant_id = $1 and status in ('active', 'suspended') for share`,
            [tenant.tenant_id],
          )
          if (living.rowCount === 1) await servers.lay(wanted)
        })
        log.info({ tenant_id: tenant.tenant_id }, 'the server of a tenant on Kubernetes was brought to what is wanted')
      } catch (fault) {
        log.error(
          { err: fault, tenant_id: tenant.tenant_id },
          'the server of a tenant on Kubernetes is not what is wanted',
        )
      }
    }
  })
}
