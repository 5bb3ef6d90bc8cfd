import type { ChildProcess } from 'node:child_process'
import { afterAll, beforeAll, test, vi } from 'vitest'
import { moveKilledAfter } from '../testing/killed-move.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World } from '../testing/world.ts'

/*
 * The three moments that matter most; every one of them, both ways, is in kill.long.test.ts.
 */

// Each case starts a process and waits for a lease to run out.
vi.setConfig({ testTimeout: 120_000 })

let world: World
let survivor: TestControl
const children: ChildProcess[] = []
let counter = 0

beforeAll(async () => {
  world = await startWorld()
  survivor = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
    dependencies: { leaseSeconds: 2, moveGraceMs: 100 },
  })
})

afterAll(async () => {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  await survivor.stop()
  await world.stop()
})

test.each(['copied', 'held', 'sealed'])(
  'control killed -9 at "%s": the tenant goes on at once, the other replica finishes the move, no acknowledged row is lost',
  async (point) => {
    await moveKilledAfter({
      world,
      survivor,
      children,
      name: `moved-${++counter}`,
      point: `move:${point}`,
      from: { isolation: 'schema', to: 'database' },
    })
  },
)
