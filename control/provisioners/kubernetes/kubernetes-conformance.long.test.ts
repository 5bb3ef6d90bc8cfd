import { afterAll, beforeAll, describe } from 'vitest'
import { startKubernetesWorld } from '../../testing/kubernetes-world.ts'
import { conformance } from '../../testing/provisioner-conformance.ts'
import { startTestControl, type TestControl } from '../../testing/start-control.ts'
import { startWorld, type World } from '../../testing/world.ts'
import { readKubernetesConfig } from './kubernetes-config.ts'

/*
 * The suite of every provisioner, over Kubernetes: against a real API server with a stand-in for CloudNativePG's operator, or, with
 * AERODB_TEST_KUBECONFIG, against a cluster that has CloudNativePG itself (docs/operations/kubernetes.md says how).
 */

const kubeconfig = process.env.AERODB_TEST_KUBECONFIG
let world: World
let control: TestControl
let stop: () => Promise<void>

beforeAll(async () => {
  if (kubeconfig === undefined) {
    ;({ world, control, stop } = await startKubernetesWorld())
    return
  }
  world = await startWorld()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
    // The rest (nodes, storage, namespaces) is that cluster's affair, and is taken from the environment.
    overrides: readKubernetesConfig({ ...process.env, AERODB_KUBERNETES_KUBECONFIG: kubeconfig }),
  })
  stop = async () => {
    for (const isolation of ['database', 'cluster'])
      for (const name of ['a', 'b']) {
        const { body } = await control.call('GET', `/v1/tenants?name=${isolation}-${name}`)
        for (const { tenant_id } of body.data) await control.call('DELETE', `/v1/tenants/${tenant_id}?purge=true`)
      }
    await control.stop()
    await world.stop()
  }
}, 1_800_000)

afterAll(() => stop?.(), 300_000)

describe.each([
  { isolation: 'database', plan: 'pro' },
  { isolation: 'cluster', plan: 'enterprise' },
] as const)('$isolation', ({ isolation, plan }) => {
  conformance({ isolation, plan, world: () => world, control: () => control, timeoutMs: 1_800_000 })
})
