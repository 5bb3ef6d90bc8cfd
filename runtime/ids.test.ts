import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isId, makeId } from './ids.ts'

test('ids sort by the time of their making and never repeat', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31), fc.integer({ min: 1, max: 2 ** 31 }), (early, delta) => {
      expect(makeId('ten', early) < makeId('ten', early + delta)).toBe(true)
      expect(makeId('ten', early)).not.toBe(makeId('ten', early))
    }),
  )
})

test('an id is known by its prefix and shape', () => {
  expect(isId('ten', makeId('ten'))).toBe(true)
  for (const other of [makeId('op'), 'ten_', 'ten_"; drop', `${makeId('ten')}x`, makeId('ten').toUpperCase()]) {
    expect(isId('ten', other)).toBe(false)
  }
})
