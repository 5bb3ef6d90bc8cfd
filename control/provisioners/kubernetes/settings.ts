import type { KubernetesConfig } from './kubernetes-config.ts'

/** Where and how tenants' servers are laid down on Kubernetes; the same for all. */
export type KubernetesSettings = {
  namespace: string
  platformNamespace: string
  operatorNamespace: string
  postgresImage: string
  storageClass: string | undefined
  unlimitedStorageGib: number
  clusterNodes: { key: string; value: string } | undefined
  sharedCidrs: readonly string[]
}

/** The settings, or `undefined` where tenants' servers do not run on Kubernetes. */
export function kubernetesSettings(config: KubernetesConfig): KubernetesSettings | undefined {
  const { AERODB_KUBERNETES_NAMESPACE: namespace } = config
  if (namespace === undefined) return undefined
  return {
    namespace,
    platformNamespace: config.AERODB_KUBERNETES_PLATFORM_NAMESPACE,
    operatorNamespace: config.AERODB_KUBERNETES_OPERATOR_NAMESPACE,
    postgresImage: config.AERODB_KUBERNETES_POSTGRES_IMAGE,
    storageClass: config.AERODB_KUBERNETES_STORAGE_CLASS,
    unlimitedStorageGib: config.AERODB_KUBERNETES_STORAGE_GIB,
    clusterNodes: config.AERODB_KUBERNETES_CLUSTER_NODES,
    sharedCidrs: config.AERODB_KUBERNETES_SHARED_CIDRS,
  }
}
