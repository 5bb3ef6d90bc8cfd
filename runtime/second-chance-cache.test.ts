import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SecondChanceCache } from './second-chance-cache.ts'

test('what is used survives what is not', () => {
  const gone: { n: number }[] = []
  const cache = new SecondChanceCache<{ n: number }>({ max: 3, dispose: (value) => gone.push(value) })
  for (const n of [1, 2, 3]) cache.set(String(n), { n })
  cache.get('1')
  cache.peek('2')
  cache.set('4', { n: 4 })
  expect(gone).toEqual([{ n: 2 }])
  expect([...cache.entries()].map(([key]) => key).toSorted()).toEqual(['1', '3', '4'])
})

test('it is never larger than its bound, holds the last value of a key, and disposes of each other value once', () => {
  const step = fc.record({ action: fc.constantFrom('set', 'get', 'delete'), key: fc.nat(12).map(String) })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 200 }), (max, steps) => {
      const made = new Set<object>()
      const gone: object[] = []
      const newest = new Map<string, object>()
      const cache = new SecondChanceCache<object>({ max, dispose: (value) => gone.push(value) })
      for (const { action, key } of steps) {
        if (action === 'set') {
          const value = {}
          made.add(value)
          newest.set(key, value)
          cache.set(key, value)
          expect(cache.peek(key)).toBe(value)
        } else if (action === 'delete') cache.delete(key)
        const found = cache.get(key)
        if (found !== undefined) expect(found).toBe(newest.get(key))
        expect(cache.size).toBeLessThanOrEqual(max)
      }
      expect(new Set(gone).size).toBe(gone.length)
      expect(new Set([...gone, ...cache.values()])).toEqual(made)
    }),
  )
})

test('what may not go stays, however many come; the cache is back at its bound when it may', () => {
  const pinned = new Set<number>()
  const cache = new SecondChanceCache<{ n: number }>({ max: 4, mayGo: ({ n }) => !pinned.has(n) })
  for (let n = 0; n < 100; n++) {
    pinned.add(n)
    cache.set(String(n), { n })
  }
  expect(cache.size).toBe(100)
  pinned.clear()
  for (let n = 100; n < 200; n++) cache.set(String(n), { n })
  expect(cache.size).toBe(4)
})
