import { afterAll, beforeAll, describe } from 'vitest'
import { conformance } from '../testing/provisioner-conformance.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World } from '../testing/world.ts'

/*
 * One suite over every provisioner of this machine; that over Kubernetes is in kubernetes/kubernetes-conformance.long.test.ts.
 */

let world: World
let control: TestControl

beforeAll(async () => {
  world = await startWorld()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
  })
})

afterAll(async () => {
  await control.stop()
  await world.stop()
})

const ISOLATIONS = [
  { isolation: 'schema', plan: 'free' },
  { isolation: 'database', plan: 'pro' },
  { isolation: 'cluster', plan: 'enterprise' },
] as const

describe.each(ISOLATIONS)('$isolation', ({ isolation, plan }) => {
  conformance({ isolation, plan, world: () => world, control: () => control })
})
