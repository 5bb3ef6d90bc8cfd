import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { type KubeApiServer, startKubeApiServer } from '../../test/support/kube-apiserver.ts'
import { askKubernetes } from '../../test/support/kubernetes-request.ts'
import { readKubernetesConfig } from '../provisioners/kubernetes/kubernetes-config.ts'
import { installCloudNativePg, makePorts, StandInOperator } from './stand-in-operator.ts'
import { startTestControl, type TestControl } from './start-control.ts'
import { startWorld, type World } from './world.ts'

export const NAMESPACE = 'tenants'

/** A control over a real API server, which knows `Cluster` resources, with an operator for them that is a stand-in. */
export type KubernetesWorld = {
  world: World
  kubernetes: KubeApiServer
  operator: StandInOperator
  control: TestControl
  portOf: (name: string) => number
  stop: () => Promise<void>
}

/** Starts all of it; control comes as a user that may do what the Helm chart's Role says, and nothing else. */
export async function startKubernetesWorld(): Promise<KubernetesWorld> {
  const kubernetes = await startKubeApiServer(['control'])
  try {
    await askKubernetes(kubernetes.admin, 'POST', '/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: NAMESPACE },
    })
    await installCloudNativePg(kubernetes.admin)
    await grantControl(kubernetes)
    const portOf = await makePorts(30)
    const operator = new StandInOperator(kubernetes.admin, NAMESPACE, portOf)
    const world = await startWorld()
    const control = await startTestControl({
      databaseUrl: world.databaseUrl,
      sharedUrls: [world.sharedUrl],
      redisUrl: world.redis.url,
      overrides: readKubernetesConfig({
        AERODB_KUBERNETES_NAMESPACE: NAMESPACE,
        AERODB_KUBERNETES_KUBECONFIG: kubernetes.kubeconfigOf('control'),
        AERODB_KUBERNETES_CLUSTER_NODES: 'aerodb.dev/pool=clusters',
        AERODB_KUBERNETES_SHARED_CIDRS: '10.1.0.0/16',
      }),
      dependencies: {
        addressOf: (resource) => ({ host: '127.0.0.1', port: portOf(resource), replicaHost: '127.0.0.1' }),
        moveGraceMs: 0,
      },
    })
    const stop = async (): Promise<void> => {
      await control.stop()
      await operator.stop()
      await world.stop()
      await kubernetes.stop()
    }
    return { world, kubernetes, operator, control, portOf, stop }
  } catch (fault) {
    await kubernetes.stop()
    throw fault
  }
}

/** The rules of the chart's Role, which have nothing of Helm's in them, for the user `control`. */
async function grantControl({ admin }: KubeApiServer): Promise<void> {
  const template = await readFile('deploy/helm/aerodb/templates/kubernetes-tenants.yaml', 'utf8')
  const { rules } = parse(/^rules:\n(?: {2}.*\n)+/m.exec(template)?.[0] ?? '') as { rules: object[] }
  const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}`
  const common = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'control', namespace: NAMESPACE } }
  await askKubernetes(admin, 'POST', `${path}/roles`, { ...common, kind: 'Role', rules })
  await askKubernetes(admin, 'POST', `${path}/rolebindings`, {
    ...common,
    kind: 'RoleBinding',
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'control' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'control' }],
  })
}
