import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Candidate, elect, parseLsn } from './elect.ts'

const lsn = fc.bigInt({ min: 0n, max: 1_000n })
const members = fc
  .array(fc.option(lsn, { nil: undefined }), { minLength: 1, maxLength: 5 })
  .map((all) => all.map((receivedLsn, i): Candidate => ({ node: i + 1, isPromoted: false, receivedLsn })))

test('whoever is elected has every commit that some member has', () => {
  fc.assert(
    fc.property(members, (all) => {
      const elected = all.find(({ node }) => node === elect(all))
      for (const { receivedLsn } of elected === undefined ? [] : all)
        expect((elected?.receivedLsn ?? -1n) >= (receivedLsn ?? -1n)).toBe(true)
    }),
  )
})

test('nobody is elected exactly when there is a member that could not be asked, or no member', () => {
  fc.assert(
    fc.property(members, (all) => {
      expect(elect(all) === undefined).toBe(all.some(({ receivedLsn }) => receivedLsn === undefined))
    }),
  )
  expect(elect([])).toBeUndefined()
})

test('two controls elect the same one, in whatever order they asked', () => {
  fc.assert(
    fc.property(members, (all) => {
      expect(elect(all.toReversed())).toBe(elect(all))
    }),
  )
})

test('one that was promoted already is elected, whatever the others say', () => {
  expect(
    elect([
      { node: 1, isPromoted: false, receivedLsn: undefined },
      { node: 2, isPromoted: true, receivedLsn: 5n },
      { node: 3, isPromoted: false, receivedLsn: 9n },
    ]),
  ).toBe(2)
})

test('positions in the log compare as numbers, not as text', () => {
  expect(parseLsn('16/B374D848')).toBe(0x16_b374d848n)
  expect(parseLsn('A/0') > parseLsn('9/FFFFFFFF')).toBe(true)
})
