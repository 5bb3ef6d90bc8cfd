import { expect, test } from 'vitest'
import { loadPlanCatalogue } from '../../../tenancy/plan.ts'
import { findManifestFaults } from '../../../test/support/manifest-schema.ts'
import { makeClusterManifest } from './cluster-manifest.ts'
import { isHibernated, isReady, nodesOf, type ObservedCluster, runningOf } from './cluster-status.ts'
import { readKubernetesConfig } from './kubernetes-config.ts'
import { ownedBy } from './manifest.ts'
import { makeNetworkPolicyManifest } from './network-policy-manifest.ts'
import { makeSecretManifest } from './secret-manifest.ts'
import { kubernetesSettings } from './settings.ts'
import { wantServer } from './wanted-server.ts'

const catalogue = loadPlanCatalogue()
const ID = 'ten_01k9zq3v6w7x8y9z0a1b2c3d4e'
const CONFIGURED = {
  AERODB_KUBERNETES_NAMESPACE: 'tenants',
  AERODB_KUBERNETES_STORAGE_CLASS: 'fast',
  AERODB_KUBERNETES_CLUSTER_NODES: 'aerodb.dev/pool=clusters',
  AERODB_KUBERNETES_SHARED_CIDRS: '10.1.0.0/16,fd00::/8',
}

function settingsOf(env: Record<string, string>) {
  const settings = kubernetesSettings(readKubernetesConfig(env))
  if (settings === undefined) throw new Error('Kubernetes is off')
  return settings
}

const PLAIN = settingsOf({ AERODB_KUBERNETES_NAMESPACE: 'tenants' })
const FULL = settingsOf(CONFIGURED)
const want = (isolation: 'database' | 'cluster', plan: string, quotas = {}) =>
  wantServer({ tenant_id: ID, plan, quotas }, isolation, { catalogue, unlimitedStorageGib: 100 })
const database = want('database', 'pro')
const cluster = want('cluster', 'enterprise')

test('without a namespace there is no Kubernetes, and what is wrong is named', () => {
  expect(kubernetesSettings(readKubernetesConfig({}))).toBeUndefined()
  expect(() => readKubernetesConfig({ AERODB_KUBERNETES_NAMESPACE: 'Tenants' })).toThrow('AERODB_KUBERNETES_NAMESPACE')
  expect(() => readKubernetesConfig({ AERODB_KUBERNETES_CLUSTER_NODES: 'pool' })).toThrow('key=value')
  expect(() => readKubernetesConfig({ AERODB_KUBERNETES_SHARED_CIDRS: '10.0.0.0/8,x' })).toThrow('CIDR')
})

test('every manifest is one by the published schemas of Kubernetes and CloudNativePG', () => {
  const owner = { apiVersion: 'postgresql.cnpg.io/v1', kind: 'Cluster', name: 'x', uid: 'y' }
  for (const settings of [PLAIN, FULL])
    for (const wanted of [database, cluster]) {
      const manifests = [
        makeClusterManifest(wanted, settings),
        makeNetworkPolicyManifest(wanted.server, settings),
        makeSecretManifest(wanted.server, 'secret', settings),
      ]
      for (const manifest of [...manifests, ...manifests.map((one) => ownedBy(one, owner))]) {
        expect(findManifestFaults(manifest)).toEqual([])
        expect(manifest.metadata.name).toMatch(/^[a-z0-9-]{1,50}$/)
        expect(manifest.metadata.labels).toMatchObject({ 'aerodb.dev/tenant': ID })
      }
    }
})

test('a cluster is three instances of which one more than the primary has each commit; a database is one', () => {
  const { spec } = makeClusterManifest(cluster, FULL) as unknown as { spec: Record<string, unknown> }
  expect(spec).toMatchObject({
    instances: 3,
    enablePDB: true,
    postgresql: { synchronous: { method: 'any', number: 1, dataDurability: 'required' } },
  })
  const one = makeClusterManifest(database, FULL) as unknown as { spec: Record<string, unknown> }
  expect(one.spec).toMatchObject({ instances: 1, enablePDB: false })
  expect(JSON.stringify(one.spec)).not.toContain('synchronous"')
})

test('the instances of a cluster are on nodes of their own, which no other tenant is on', () => {
  const { spec } = makeClusterManifest(cluster, FULL) as unknown as { spec: Record<string, unknown> }
  expect(spec.affinity).toMatchObject({
    podAntiAffinityType: 'required',
    nodeSelector: { 'aerodb.dev/pool': 'clusters' },
    tolerations: [{ key: 'aerodb.dev/pool', value: 'clusters', effect: 'NoSchedule' }],
    additionalPodAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        {
          topologyKey: 'kubernetes.io/hostname',
          labelSelector: {
            matchExpressions: [
              { key: 'aerodb.dev/tenant', operator: 'Exists' },
              { key: 'aerodb.dev/tenant', operator: 'NotIn', values: [ID] },
            ],
          },
        },
      ],
    },
  })
  // Which needs the pods to say whose they are.
  expect(spec.inheritedMetadata).toMatchObject({ labels: { 'aerodb.dev/tenant': ID } })
})

test('memory and storage follow the plan and the tenant’s own quotas', () => {
  const resourcesOf = (wanted: typeof database) =>
    (makeClusterManifest(wanted, PLAIN) as unknown as { spec: { resources: unknown; storage: { size: string } } }).spec
  expect(resourcesOf(database)).toMatchObject({
    resources: { requests: { cpu: '100m', memory: '384Mi' }, limits: { memory: '384Mi' } },
    storage: { size: '121Gi' },
  })
  expect(resourcesOf(cluster)).toMatchObject({ storage: { size: '100Gi' }, resources: { limits: { memory: '768Mi' } } })
  expect(resourcesOf(want('database', 'pro', { storage_bytes: 1_073_741_824 }))).toMatchObject({
    storage: { size: '6Gi' },
  })
})

test('what is wanted is told by a digest: equal for equal, another for another', () => {
  const digestOf = (...args: Parameters<typeof makeClusterManifest>) =>
    makeClusterManifest(...args).metadata.annotations?.['aerodb.dev/wanted']
  expect(digestOf(database, FULL)).toBe(digestOf({ ...database }, { ...FULL }))
  expect(digestOf(database, FULL)).not.toBe(digestOf({ ...database, storageGib: 500 }, FULL))
})

test('nobody comes to a tenant’s server but platform, operator, its own instances and where it moves', () => {
  const { spec } = makeNetworkPolicyManifest(cluster.server, PLAIN) as unknown as {
    spec: { ingress: { from: unknown[] }[]; podSelector: unknown; egress: { to?: unknown[] }[] }
  }
  const instances = { podSelector: { matchLabels: { 'cnpg.io/cluster': 'clu-01k9zq3v6w7x8y9z0a1b2c3d4e' } } }
  expect(spec.podSelector).toEqual(instances.podSelector)
  const namespaceOf = (name: string) => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
  })
  expect(spec.ingress.flatMap(({ from }) => from)).toEqual([
    expect.objectContaining(namespaceOf('aerodb')),
    instances,
    namespaceOf('cnpg-system'),
  ])
  const full = JSON.stringify(makeNetworkPolicyManifest(cluster.server, FULL))
  expect(full.match(/10\.1\.0\.0\/16/g)).toHaveLength(2)
})

const READY: ObservedCluster = {
  metadata: { name: 'clu-x', uid: 'u', resourceVersion: '1', labels: { 'aerodb.dev/tenant': ID } },
  spec: { instances: 3 },
  status: {
    currentPrimary: 'clu-x-2',
    readyInstances: 3,
    instanceNames: ['clu-x-1', 'clu-x-2', 'clu-x-3'],
    conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-11-01T00:00:00Z' }],
  },
}

test('a cluster is ready once all its instances are, and not while it is deleted or hibernates', () => {
  expect(isReady(READY)).toBe(true)
  expect(isReady({ ...READY, status: { ...READY.status, readyInstances: 2 } })).toBe(false)
  expect(isReady({ ...READY, status: {} })).toBe(false)
  expect(isReady({ ...READY, metadata: { ...READY.metadata, deletionTimestamp: '2026-11-01T00:00:00Z' } })).toBe(false)
  const annotations = { 'cnpg.io/hibernation': 'on' }
  expect(isReady({ ...READY, metadata: { ...READY.metadata, annotations } })).toBe(false)
  expect(isHibernated(READY)).toBe(false)
  const asleep = { readyInstances: 0, conditions: [{ type: 'cnpg.io/hibernation', status: 'True' }] }
  expect(isHibernated({ ...READY, status: asleep })).toBe(true)
})

test('running time counts the instances that are ready, from when they were', () => {
  expect(runningOf(READY)).toEqual({ tenantId: ID, servers: 3, startedAtMs: Date.UTC(2026, 10, 1) })
  expect(runningOf({ ...READY, status: { ...READY.status, readyInstances: 0 } })).toBeUndefined()
})

test('nodes are told as those of our own clusters are: who is primary, who follows, who is in the quorum', () => {
  const followers = new Map([['clu-x-1', { state: 'streaming', syncState: 'quorum', lagBytes: 5, lagSeconds: 0.1 }]])
  expect(
    nodesOf(READY, followers).map(({ node, role, state, is_in_quorum }) => [node, role, state, is_in_quorum]),
  ).toEqual([
    [1, 'standby', 'streaming', true],
    [2, 'primary', 'serving', false],
    [3, 'standby', 'down', false],
  ])
  expect(nodesOf(READY, undefined).map(({ state }) => state)).toEqual(['down', 'down', 'down'])
})
