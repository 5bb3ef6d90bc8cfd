import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Sealer } from './seal.ts'

const [oldSecret, newSecret] = ['o'.repeat(32), 'n'.repeat(32)]

test('what was sealed opens under the same context, and under no other', () => {
  const sealer = new Sealer([oldSecret])
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string(), fc.string(), (plain, context, other) => {
      fc.pre(context !== other)
      const sealed = sealer.seal(plain, context)
      expect(sealer.open(sealed, context)).toBe(plain)
      expect(() => sealer.open(sealed, other)).toThrow()
    }),
  )
})

test('a changed character is noticed', () => {
  const sealer = new Sealer([oldSecret])
  const sealed = sealer.seal('password', 'server:shared-0')
  const at = sealed.length - 5
  const changed = sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1)
  expect(() => sealer.open(changed, 'server:shared-0')).toThrow()
  expect(() => sealer.open('v1.nonsense', 'x')).toThrow()
})

test('a secret is rotated by putting the new one in front', () => {
  const sealed = new Sealer([oldSecret]).seal('password', 'x')
  const rotating = new Sealer([newSecret, oldSecret])
  expect(rotating.open(sealed, 'x')).toBe('password')
  expect(rotating.isStale(sealed)).toBe(true)
  const anew = rotating.seal('password', 'x')
  expect(rotating.isStale(anew)).toBe(false)
  expect(new Sealer([newSecret]).open(anew, 'x')).toBe('password')
  expect(() => new Sealer([newSecret]).open(sealed, 'x')).toThrow()
})
