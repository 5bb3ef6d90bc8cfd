import type { Manifest } from './manifest.ts'
import { CLUSTER_LABEL, labelsOf, resourceName } from './names.ts'
import type { KubernetesSettings } from './settings.ts'

const POSTGRES = { protocol: 'TCP', port: 5432 }
/** Of CloudNativePG's instance manager. */
const STATUS = { protocol: 'TCP', port: 8000 }
const NAMESPACE_LABEL = 'kubernetes.io/metadata.name'

/**
 * Who comes to a tenant's server: control and the backends, which serve any tenant of ours by signed contexts; the other instances of the same
 * server; and CloudNativePG. No pod of another tenant. Out go names, the other instances, and the API server (which has no address that one
 * could name, so: its ports). Pure.
 */
export function makeNetworkPolicyManifest(server: string, settings: KubernetesSettings): Manifest {
  const name = resourceName(server)
  const { namespace, platformNamespace, operatorNamespace, sharedCidrs } = settings
  const instances = { podSelector: { matchLabels: { [CLUSTER_LABEL]: name } } }
  const platform = {
    namespaceSelector: { matchLabels: { [NAMESPACE_LABEL]: platformNamespace } },
    podSelector: {
      matchExpressions: [{ key: 'app.kubernetes.io/component', operator: 'In', values: ['backend', 'control'] }],
    },
  }
  // Either of the two follows the other while a tenant moves between them.
  const shared = sharedCidrs.map((cidr) => ({ ipBlock: { cidr } }))
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace, labels: labelsOf(server) },
    spec: {
      podSelector: { matchLabels: { [CLUSTER_LABEL]: name } },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        { ports: [POSTGRES], from: [platform, ...shared] },
        { ports: [POSTGRES, STATUS], from: [instances] },
        {
          ports: [POSTGRES, STATUS],
          from: [{ namespaceSelector: { matchLabels: { [NAMESPACE_LABEL]: operatorNamespace } } }],
        },
      ],
      egress: [
        {
          ports: [
            { protocol: 'UDP', port: 53 },
            { protocol: 'TCP', port: 53 },
          ],
        },
        {
          ports: [
            { protocol: 'TCP', port: 443 },
            { protocol: 'TCP', port: 6443 },
          ],
        },
        { ports: [POSTGRES, STATUS], to: [instances] },
        ...(shared.length === 0 ? [] : [{ ports: [POSTGRES], to: shared }]),
      ],
    },
  }
}
