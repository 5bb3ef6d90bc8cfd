import type { ChildProcess } from 'node:child_process'
import { afterAll, beforeAll, test, vi } from 'vitest'
import { moveKilledAfter } from '../testing/killed-move.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World } from '../testing/world.ts'

/*
 * Every step of a move, and every side effect within the cut, on ways that between them have each isolation at both ends.
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

const POINTS = ['choose', 'provision', 'copied', 'copy', 'verify', 'held', 'sealed', 'cut', 'switch', 'tidy']
const WAYS = [
  { isolation: 'schema', to: 'database' },
  { isolation: 'database', to: 'schema' },
  { isolation: 'database', to: 'cluster' },
  { isolation: 'cluster', to: 'schema' },
] as const

test.each(WAYS.flatMap((from) => POINTS.map((point) => ({ ...from, point }))))(
  'control killed -9 at "$point" on the way from $isolation to $to: the other replica finishes, no acknowledged row is lost',
  async ({ point, isolation, to }) => {
    await moveKilledAfter({
      world,
      survivor,
      children,
      name: `moved-${++counter}`,
      point: `move:${point}`,
      from: { isolation, to },
    })
  },
)
