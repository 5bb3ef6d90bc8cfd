import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RESERVED_NAMES } from '../../tenancy/tenant.ts'
import { findLookalike, findReservedLookalike, likenessOf } from './lookalike-names.ts'

const names = fc.stringMatching(/^[a-z0-9](-?[a-z0-9]){2,19}$/)

test.each([
  ['g00gle', 'google'],
  ['paypa1', 'paypal'],
  ['modem', 'modern'],
  ['my-shop', 'myshop'],
  ['vvidget', 'widget'],
  ['ac-me1', 'acmel'],
])('%s is taken for %s', (name, other) => {
  expect(findLookalike(name, ['something', other])).toBe(other)
})

test.each([
  ['shop-10', 'shop-lo'],
  ['101', 'lol'],
  ['v1-12', 'v11-2'],
  ['team1', 'team2'],
  ['clown', 'down'],
  ['2024-1-11', '2024-11-1'],
])('%s is not taken for %s', (name, other) => {
  expect(findLookalike(name, [other])).toBeUndefined()
})

test('names that differ in nothing but digits stay apart', () => {
  fc.assert(
    fc.property(names, fc.infiniteStream(fc.constantFrom(...'0123456789')), (name, digits) => {
      const other = name.replaceAll(/\d/g, () => digits.next().value ?? '0')
      if (other !== name) expect(likenessOf(other)).not.toBe(likenessOf(name))
    }),
    { numRuns: 2_000 },
  )
})

test('hyphens between letters, and 0 or 1 beside letters, hide nothing', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z]{2,10}$/), fc.nat(8), (word, at) => {
      const cut = 1 + (at % (word.length - 1))
      expect(likenessOf(`${word.slice(0, cut)}-${word.slice(cut)}`)).toBe(likenessOf(word))
      const inDigits = `x${word}`.replaceAll('o', '0').replaceAll('l', '1')
      expect(likenessOf(inDigits)).toBe(likenessOf(`x${word}`))
    }),
  )
})

test('a name is never its own look-alike, and likeness does not depend on who asks', () => {
  fc.assert(
    fc.property(names, names, (a, b) => {
      expect(findLookalike(a, [a])).toBeUndefined()
      expect(findLookalike(a, [b]) === undefined).toBe(findLookalike(b, [a]) === undefined)
    }),
  )
})

test('reserved names have no look-alikes for sale', () => {
  expect(findReservedLookalike('supp0rt')).toBe('support')
  expect(findReservedLookalike('log-in')).toBe('login')
  expect(findReservedLookalike('acme')).toBeUndefined()
  for (const name of RESERVED_NAMES) expect(findReservedLookalike(name)).toBeUndefined()
})
