import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LatencyHistogram } from './latency-histogram.ts'

describe('LatencyHistogram', () => {
  test('gives the same percentiles as sorting, to a microsecond', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 9_999 }), { minLength: 1, maxLength: 300 }),
        fc.constantFrom(0.5, 0.9, 0.99, 1),
        (latenciesUs, fraction) => {
          const histogram = new LatencyHistogram()
          for (const us of latenciesUs) histogram.record(us / 1_000)
          const sorted = latenciesUs.toSorted((a, b) => a - b)
          const expected = sorted[Math.ceil(sorted.length * fraction) - 1] ?? 0
          expect(histogram.percentileMs(fraction) * 1_000).toBeCloseTo(expected, 3)
        },
      ),
    )
  })

  test('keeps what is slower than a second in its last bucket, and the exact maximum', () => {
    const histogram = new LatencyHistogram()
    histogram.record(5_000)
    expect(histogram.percentileMs(0.5)).toBe(1_000)
    expect(histogram.maxMs).toBe(5_000)
  })
})
