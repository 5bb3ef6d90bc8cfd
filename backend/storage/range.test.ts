import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseRange } from './range.ts'

test('a range names bytes as RFC 9110 says', () => {
  expect(parseRange('bytes=0-0', 10)).toEqual({ first: 0, last: 0 })
  expect(parseRange('bytes=9-', 10)).toEqual({ first: 9, last: 9 })
  expect(parseRange('bytes=-3', 10)).toEqual({ first: 7, last: 9 })
  expect(parseRange('bytes=-300', 10)).toEqual({ first: 0, last: 9 })
  expect(parseRange('BYTES= 2-4 ', 10)).toEqual({ first: 2, last: 4 })
  expect(parseRange('bytes=10-12', 10)).toBe('unsatisfiable')
  expect(parseRange('bytes=-0', 10)).toBe('unsatisfiable')
  expect(parseRange('bytes=0-', 0)).toBe('unsatisfiable')
})

test('what is no single range of bytes is ignored', () => {
  for (const field of [
    undefined,
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=4-2',
    'bytes=0-1,3-4',
    'items=0-1',
    'bytes=a-b',
  ])
    expect(parseRange(field, 10), field).toBeUndefined()
})

test('whatever the field, the answer lies within the object', () => {
  const field = fc.oneof(
    fc.string(),
    fc.tuple(fc.bigInt({ min: 0n }), fc.bigInt({ min: 0n })).map(([from, to]) => `bytes=${from}-${to}`),
    fc.bigInt({ min: 0n }).map((from) => `bytes=${from}-`),
    fc.bigInt({ min: 0n }).map((length) => `bytes=-${length}`),
  )
  fc.assert(
    fc.property(field, fc.nat(), (text, size) => {
      const range = parseRange(text, size)
      if (range === undefined || range === 'unsatisfiable') return
      expect(range.first).toBeGreaterThanOrEqual(0)
      expect(range.first).toBeLessThanOrEqual(range.last)
      expect(range.last).toBeLessThan(size)
    }),
  )
})
