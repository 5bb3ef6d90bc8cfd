import type { PostgresPool } from '../../../runtime/postgres-pool.ts'
import type { Sealer } from '../../../runtime/seal.ts'
import type { PlanCatalogue } from '../../../tenancy/plan.ts'
import { countOwnServers } from '../../stores/kubernetes-server-store.ts'
import type { KubernetesConfig } from './kubernetes-config.ts'
import { type AddressOf, KubernetesProvisioner } from './kubernetes-provisioner.ts'
import { KubernetesServers } from './kubernetes-servers.ts'
import { kubernetesSettings } from './settings.ts'

/** Tenants' own servers on Kubernetes, as far as the rest of control sees it. */
export type Kubernetes = {
  servers: KubernetesServers
  provisioners: { database: KubernetesProvisioner; cluster: KubernetesProvisioner }
}

/**
 * Reaches for Kubernetes where the configuration says so.
 * @throws Error when there are tenants whose servers are on the other side: nobody would look after them.
 */
export async function startKubernetes(options: {
  config: KubernetesConfig
  pool: PostgresPool
  sealer: Sealer
  catalogue: PlanCatalogue
  addressOf: AddressOf | undefined
  beforeStop: (tenantId: string) => Promise<void>
}): Promise<Kubernetes | undefined> {
  const { config, pool, sealer, catalogue, addressOf, beforeStop } = options
  const settings = kubernetesSettings(config)
  const left = await countOwnServers(pool, settings === undefined ? ['kubernetes'] : ['tenant', 'cluster'])
  if (left > 0)
    throw new Error(
      settings === undefined
        ? `${left} tenants have servers on Kubernetes: set AERODB_KUBERNETES_NAMESPACE, or move them to schema isolation before`
        : `${left} tenants have servers beside control: move them to schema isolation before AERODB_KUBERNETES_NAMESPACE is set`,
    )
  if (settings === undefined) return undefined
  // Large: who does not use it does not load it.
  const [{ KubeConfig }, { KubernetesApi }] = await Promise.all([
    import('@kubernetes/client-node'),
    import('./kubernetes-api.ts'),
  ])
  const kubeConfig = new KubeConfig()
  if (config.AERODB_KUBERNETES_KUBECONFIG === undefined) kubeConfig.loadFromCluster()
  else kubeConfig.loadFromFile(config.AERODB_KUBERNETES_KUBECONFIG)
  const api = new KubernetesApi(kubeConfig, settings.namespace)
  const servers = new KubernetesServers({ api, settings, db: pool, sealer })
  const parts = { pool, servers, sealer, catalogue, beforeStop, ...(addressOf === undefined ? {} : { addressOf }) }
  return {
    servers,
    provisioners: {
      database: new KubernetesProvisioner({ ...parts, isolation: 'database' }),
      cluster: new KubernetesProvisioner({ ...parts, isolation: 'cluster' }),
    },
  }
}
