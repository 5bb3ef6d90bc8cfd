import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { expectSameTime, tellApart } from './timing.ts'

/** Durations as a busy machine has them: most are alike, some are very long. */
function durations(aroundMs: number): number[] {
  return Array.from({ length: 150 }, (_, i) => aroundMs + (i % 11) * 0.1 + (i % 17 === 0 ? 500 : 0))
}

test('the same durations tell nothing, a small constant difference nearly everything, outliers or not', () => {
  expect(tellApart(durations(2), durations(2))).toBe(0.5)
  expect(tellApart(durations(3.2), durations(2))).toBeGreaterThan(0.85)
  expect(tellApart(durations(2), durations(3.2))).toBeLessThan(0.15)
})

test('a request that takes a look more is told apart, each time', async () => {
  const nothing = () => sleep(0)
  await expect(expectSameTime('a look more', () => sleep(8), nothing)).rejects.toThrow(
    'a look more: its duration tells',
  )
}, 60_000)
