import type { Isolation } from '../../../tenancy/plan.ts'
import { clusterName, tenantOfCluster } from '../cluster/cluster-parts.ts'

/** On whose behalf fields of resources are set (server-side apply). */
export const FIELD_MANAGER = 'aerodb-control'
/** On each resource of a tenant, pods included. */
export const TENANT_LABEL = 'aerodb.dev/tenant'
/** Keeps a `Cluster`, and so its data, until control itself removes the tenant: `kubectl delete` alone does not. */
export const FINALIZER = 'aerodb.dev/tenant-data'
/** A digest of what control wants, to see without a request that nothing has changed. */
export const WANTED_ANNOTATION = 'aerodb.dev/wanted'
/** CloudNativePG's own: stops all instances and keeps their volumes. */
export const HIBERNATION_ANNOTATION = 'cnpg.io/hibernation'
/** CloudNativePG's own, on each pod of a cluster. */
export const CLUSTER_LABEL = 'cnpg.io/cluster'

/** The name of a tenant's server on Kubernetes among the servers: a tenant has one of each while it moves between the two. */
export function serverName(tenantId: string, isolation: Isolation): string {
  return isolation === 'cluster' ? clusterName(tenantId) : tenantId
}

/** What the resources of a server are called: a DNS label. */
export function resourceName(server: string): string {
  return server.replaceAll('_', '-')
}

export function secretName(server: string): string {
  return `${resourceName(server)}-admin`
}

/** The labels of everything that is made for a server. */
export function labelsOf(server: string): Record<string, string> {
  return {
    'app.kubernetes.io/managed-by': 'aerodb',
    'app.kubernetes.io/part-of': 'aerodb-tenants',
    [TENANT_LABEL]: tenantOfCluster(server),
  }
}
