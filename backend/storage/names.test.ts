import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkKey, isValidBucketName, isValidKey, MAX_KEY_BYTES } from './names.ts'

/** Any code points, lone surrogates too. */
const anyText = fc.array(fc.nat(0x10ffff), { maxLength: 50 }).map((points) => String.fromCodePoint(...points))

test('names that Supabase Storage takes are taken', () => {
  for (const key of [
    'a',
    'a/b/c.txt',
    'with space',
    "it's (1)!.txt",
    'a..b',
    '...',
    'ünï/ö',
    '日本語.png',
    '👩‍👩‍👧.png',
    '/lead',
    'a//b',
  ])
    expect(isValidKey(key), key).toBe(true)
  for (const name of ['avatars', 'My Bucket', 'a.b-c_d', "x'()*!&$@=;:+,?"])
    expect(isValidBucketName(name), name).toBe(true)
})

test('names that could pose as others, or that somebody downstream would resolve, are not', () => {
  const bad = [
    '',
    '.',
    '..',
    '../a',
    'a/../b',
    'a/..',
    'a/./b',
    'a\0b',
    'a\nb',
    'a\u007f',
    'a\u0085',
    'a\\b',
    'a%2e',
    'a#b',
    'a~',
  ]
  const invisible = ['a\u202Eb', 'a\u200Bb', '\uFEFFa', 'a\u2066b', 'a\u034Fb', 'a\uD800', 'a\u{10FFFF}', 'a\uFFFE']
  for (const key of [...bad, ...invisible]) expect(isValidKey(key), JSON.stringify(key)).toBe(false)
  for (const name of ['', '.', '..', 'a/b', 'ü', 'a\0', 'x'.repeat(101), 'a\n'])
    expect(isValidBucketName(name)).toBe(false)
})

test('a name is as long as its bytes, not its characters', () => {
  expect(isValidKey('x'.repeat(MAX_KEY_BYTES))).toBe(true)
  expect(isValidKey('x'.repeat(MAX_KEY_BYTES + 1))).toBe(false)
  expect(isValidKey('日'.repeat(341))).toBe(true)
  expect(isValidKey('日'.repeat(342))).toBe(false)
})

test('whatever is taken survives a URL, JSON and UTF-8, and has no relative part', () => {
  fc.assert(
    fc.property(anyText, (key) => {
      if (!isValidKey(key)) return
      expect(decodeURIComponent(encodeURIComponent(key))).toBe(key)
      expect(Buffer.from(key).toString()).toBe(key)
      expect(key.split('/')).not.toContain('..')
      expect(key).not.toMatch(/\p{Cc}/u)
    }),
  )
})

test('what is no string is no name', () => {
  for (const key of [undefined, null, 1, {}, ['a']]) expect(() => checkKey(key)).toThrow('Invalid key')
})
