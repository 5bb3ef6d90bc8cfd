import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestKey, KEY_KINDS, keyHint, makeKey, parseKeyKind } from './key.ts'

test('a made key is well-formed and tells its kind', () => {
  for (const kind of KEY_KINDS) expect(parseKeyKind(makeKey(kind))).toBe(kind)
})

test('one changed character makes a key malformed', () => {
  const key = makeKey('anon')
  fc.assert(
    fc.property(fc.integer({ min: 0, max: key.length - 1 }), fc.string({ minLength: 1, maxLength: 1 }), (at, char) => {
      fc.pre(key[at] !== char)
      expect(parseKeyKind(key.slice(0, at) + char + key.slice(at + 1))).toBeUndefined()
    }),
  )
})

test('no text but a key is taken for one', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(parseKeyKind(text)).toBeUndefined()
    }),
  )
})

test('digest and hint do not hold the key', () => {
  const key = makeKey('service')
  expect(digestKey(key)).toMatch(/^[\w-]{43}$/)
  expect(keyHint(key)).toBe(`${key.slice(0, 17)}…`)
})
