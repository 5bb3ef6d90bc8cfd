import { expect, test } from 'vitest'
import { mapBounded } from './bounded.ts'

test('keeps the order of its items and never has more than the limit under way', async () => {
  let underWay = 0
  let most = 0
  const results = await mapBounded([5, 1, 4, 2, 3], 2, async (item) => {
    most = Math.max(most, ++underWay)
    await new Promise((resolve) => setImmediate(resolve))
    underWay--
    return item * 10
  })
  expect(results).toEqual([50, 10, 40, 20, 30])
  expect(most).toBe(2)
})

test('throws the first fault and starts nothing more', async () => {
  const started: number[] = []
  const mapping = mapBounded([1, 2, 3, 4], 1, async (item) => {
    started.push(item)
    if (item === 2) throw new Error('no')
  })
  await expect(mapping).rejects.toThrow('no')
  expect(started).toEqual([1, 2])
})
