import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ManualClock } from '../../../runtime/clock.ts'
import { MessageRate } from './message-rate.ts'

test('over any time no more is let through than a second’s worth and what the time refills', () => {
  const steps = fc.array(fc.record({ waitMs: fc.nat(2_000), asks: fc.nat(30) }), { maxLength: 50 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), steps, (perSecond, plan) => {
      const clock = new ManualClock()
      const rate = new MessageRate(perSecond, clock)
      let passed = 0
      let elapsedMs = 0
      for (const { waitMs, asks } of plan) {
        clock.advance(waitMs)
        elapsedMs += waitMs
        for (let n = 0; n < asks; n++) if (rate.take()) passed += 1
      }
      expect(passed).toBeLessThanOrEqual(perSecond + (elapsedMs / 1_000) * perSecond + 1e-6)
    }),
  )
})

test('a rate that is lowered is in force at once, and who waits is let through again', () => {
  const clock = new ManualClock()
  const rate = new MessageRate(10, clock)
  rate.perSecond = 2
  expect([rate.take(), rate.take(), rate.take()]).toEqual([true, true, false])
  clock.advance(500)
  expect([rate.take(), rate.take()]).toEqual([true, false])
})
