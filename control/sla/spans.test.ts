import fc from 'fast-check'
import { expect, test } from 'vitest'
import { countSeconds, intersectSpans, joinSpans, type Span, subtractSpans } from './spans.ts'

const END = 60
const anySpans = fc.array(
  fc.record({ from: fc.integer({ min: 0, max: END }), until: fc.integer({ min: 0, max: END }) }),
  { maxLength: 12 },
)
/** The seconds that spans cover, one by one: what the algebra must agree with. */
const secondsOf = (spans: readonly Span[]) =>
  new Set(Array.from({ length: END }, (_, at) => at).filter((at) => spans.some((s) => s.from <= at && at < s.until)))
const isList = (spans: readonly Span[]) =>
  spans.every((span, i) => span.from < span.until && (i === 0 || (spans[i - 1]?.until ?? 0) <= span.from))

test('joining, intersecting and subtracting agree with counting second by second', () => {
  fc.assert(
    fc.property(anySpans, anySpans, (first, second) => {
      const [a, b] = [joinSpans(first), joinSpans(second)]
      const [inA, inB] = [secondsOf(first), secondsOf(second)]
      expect(secondsOf(a)).toEqual(inA)
      expect(countSeconds(a)).toBe(inA.size)
      expect(secondsOf(intersectSpans(a, b))).toEqual(inA.intersection(inB))
      expect(secondsOf(subtractSpans(a, b))).toEqual(inA.difference(inB))
      expect(countSeconds(intersectSpans(a, b)) + countSeconds(subtractSpans(a, b))).toBe(countSeconds(a))
      for (const list of [a, b, intersectSpans(a, b), subtractSpans(a, b)]) expect(isList(list)).toBe(true)
    }),
  )
})
