import { afterAll, beforeAll, expect, test } from 'vitest'
import { askKubernetes } from '../../../test/support/kubernetes-request.ts'
import { eventually } from '../../testing/eventually.ts'
import { type KubernetesWorld, NAMESPACE, startKubernetesWorld } from '../../testing/kubernetes-world.ts'
import { withClient } from '../../testing/world.ts'
import { resourceName, serverName } from './names.ts'

/*
 * Against a real API server (kube-apiserver and etcd), with RBAC as the Helm chart grants it. The operator is a stand-in: see
 * `StandInOperator`.
 */

const CLUSTERS = `/apis/postgresql.cnpg.io/v1/namespaces/${NAMESPACE}/clusters`
let started: KubernetesWorld
let control: KubernetesWorld['control']
let kubernetes: KubernetesWorld['kubernetes']
let operator: KubernetesWorld['operator']
let portOf: KubernetesWorld['portOf']

beforeAll(async () => {
  started = await startKubernetesWorld()
  ;({ control, kubernetes, operator, portOf } = started)
}, 1_800_000)

afterAll(async () => {
  await started?.stop()
  expect(started?.operator.faults).toEqual([])
})

type Observed = {
  metadata: {
    uid: string
    finalizers?: string[]
    deletionTimestamp?: string
    ownerReferences?: { uid: string }[]
    managedFields: { manager: string; operation: string }[]
    annotations: Record<string, string>
  }
  spec: { instances: number; resources: { limits: { memory: string } } }
}
const read = (path: string) => askKubernetes(kubernetes.admin, 'GET', path) as Promise<Observed>
const nameOf = (tenantId: string, isolation: 'database' | 'cluster') => resourceName(serverName(tenantId, isolation))

/** As CloudNativePG has it set the administrator's password. */
async function adminUrl(name: string): Promise<string> {
  const path = `/api/v1/namespaces/${NAMESPACE}/secrets/${name}-admin`
  const secret = (await askKubernetes(kubernetes.admin, 'GET', path)) as { data: { password: string } }
  return `postgres://postgres:${Buffer.from(secret.data.password, 'base64')}@127.0.0.1:${portOf(name)}/aerodb`
}

async function create(name: string, isolation: string, plan: string): Promise<string> {
  const created = await control.call('POST', '/v1/tenants', { body: { name, isolation, plan } })
  expect(created.status).toBe(201)
  return created.body.tenant_id
}

async function whenEnded(answer: { body: { operation_id?: string } }): Promise<string> {
  return eventually(async () => {
    const { body } = await control.call('GET', `/v1/operations/${answer.body.operation_id}`)
    expect(body.status).not.toBe('running')
    return body.status
  })
}

test('a tenant is a Cluster with its Secret and NetworkPolicy, applied by control and owned by the Cluster', async () => {
  const tenantId = await create('resources', 'cluster', 'enterprise')
  const name = nameOf(tenantId, 'cluster')
  const cluster = await read(`${CLUSTERS}/${name}`)
  expect(cluster.spec.instances).toBe(3)
  expect(cluster.metadata.finalizers).toEqual(['aerodb.dev/tenant-data'])
  expect(cluster.metadata.managedFields).toContainEqual(
    expect.objectContaining({ manager: 'aerodb-control', operation: 'Apply' }),
  )
  const policy = await read(`/apis/networking.k8s.io/v1/namespaces/${NAMESPACE}/networkpolicies/${name}`)
  const secret = await read(`/api/v1/namespaces/${NAMESPACE}/secrets/${name}-admin`)
  for (const { metadata } of [policy, secret])
    expect(metadata.ownerReferences).toEqual([expect.objectContaining({ uid: cluster.metadata.uid })])
  // What went over the wire is what was meant, `from` included.
  expect(JSON.stringify(policy)).toContain('"kubernetes.io/metadata.name":"aerodb"')
  const nodes = await control.call('GET', `/v1/tenants/${tenantId}/nodes`)
  expect(nodes.body.data).toMatchObject([
    { node: 1, role: 'primary', state: 'serving' },
    { node: 2, role: 'standby' },
    { node: 3, role: 'standby' },
  ])
})

test('a Cluster that somebody deletes keeps its data until control removes the tenant', async () => {
  const tenantId = await create('finalizer', 'database', 'pro')
  const name = nameOf(tenantId, 'database')
  await askKubernetes(kubernetes.admin, 'DELETE', `${CLUSTERS}/${name}`)
  expect((await read(`${CLUSTERS}/${name}`)).metadata.deletionTimestamp).toBeDefined()
  expect(operator.isRunning(name)).toBe(true)
  const purged = await control.call('DELETE', `/v1/tenants/${tenantId}?purge=true`)
  expect(await whenEnded(purged)).toBe('succeeded')
  await expect(read(`${CLUSTERS}/${name}`)).rejects.toThrow('404')
})

test('a deleted tenant hibernates and keeps its rows; restored it has them; purged nothing of it is left', async () => {
  const tenantId = await create('sleeper', 'database', 'pro')
  const name = nameOf(tenantId, 'database')
  const admin = await adminUrl(name)
  await withClient(admin, (client) => client.query('create table public.kept as select 42 as answer'))
  expect(await whenEnded(await control.call('DELETE', `/v1/tenants/${tenantId}`))).toBe('succeeded')
  expect(operator.isRunning(name)).toBe(false)
  expect((await read(`${CLUSTERS}/${name}`)).metadata.annotations['cnpg.io/hibernation']).toBe('on')
  expect(await whenEnded(await control.call('POST', `/v1/tenants/${tenantId}/restore`))).toBe('succeeded')
  expect(operator.isRunning(name)).toBe(true)
  const kept = await withClient(admin, (client) => client.query('select answer from public.kept'))
  expect(kept.rows).toEqual([{ answer: 42 }])
  expect(await whenEnded(await control.call('DELETE', `/v1/tenants/${tenantId}?purge=true`))).toBe('succeeded')
  for (const path of [
    `${CLUSTERS}/${name}`,
    `/apis/networking.k8s.io/v1/namespaces/${NAMESPACE}/networkpolicies/${name}`,
    `/api/v1/namespaces/${NAMESPACE}/secrets/${name}-admin`,
  ])
    await expect(read(path)).rejects.toThrow('404')
  await eventually(() => expect(operator.clusters).not.toContain(name))
})

test('a change of plan is brought to what is wanted', async () => {
  const tenantId = await create('wanted', 'database', 'pro')
  const path = `${CLUSTERS}/${nameOf(tenantId, 'database')}`
  const { status } = await control.call('PATCH', `/v1/tenants/${tenantId}`, { body: { plan: 'enterprise' } })
  expect(status).toBe(200)
  await eventually(async () => expect((await read(path)).spec.resources.limits.memory).toBe('768Mi'), 30_000)
})

test('a tenant moves from the shared tier to Kubernetes, on to a cluster there, and back', async () => {
  const tenantId = await create('mover', 'schema', 'enterprise')
  for (const isolation of ['database', 'cluster', 'schema'] as const) {
    // Refused while the move before still tidies.
    await eventually(async () => {
      const moved = await control.call('PATCH', `/v1/tenants/${tenantId}`, { body: { isolation } })
      expect([200, 202]).toContain(moved.status)
    }, 60_000)
    await eventually(async () => {
      const { body } = await control.call('GET', `/v1/tenants/${tenantId}`)
      expect(body).toMatchObject({ isolation, status: 'active' })
    }, 120_000)
  }
  await eventually(() => {
    for (const isolation of ['database', 'cluster'] as const)
      expect(operator.clusters).not.toContain(nameOf(tenantId, isolation))
  }, 60_000)
})
