import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../runtime/clock.ts'
import { makeId } from '../../runtime/ids.ts'
import { allowsMimeType, readBucketSettings, readFileSize } from './bucket.ts'
import { attachmentDisposition } from './content-disposition.ts'
import { readCacheControl, readMimeType, readUserMetadata } from './http/object-headers.ts'
import { readUploadMetadata } from './http/upload-metadata.ts'
import { evaluatePreconditions, rangeApplies } from './preconditions.ts'
import { UrlSigner } from './signed-url.ts'
import { cutParts } from './steps/read-object.ts'

describe('a bucket’s settings', () => {
  test('take sizes as numbers and as words', () => {
    expect([20, '20', '3B', '30kb', '20MB', '1.5GB', '0', 0, null].map(readFileSize)).toEqual([
      20,
      20,
      3,
      30_000,
      20_000_000,
      1_500_000_000,
      null,
      null,
      null,
    ])
    for (const size of ['', 'MB', '1TB', '-1', '1e3']) expect(() => readFileSize(size)).toThrow('Invalid file size')
  })

  test('leave alone what is not named, and refuse what does not exist here', () => {
    expect(readBucketSettings({ id: 'a' })).toEqual({})
    expect(readBucketSettings({ public: true, allowed_mime_types: [] })).toEqual({
      public: true,
      allowed_mime_types: null,
    })
    expect(() => readBucketSettings({ type: 'ANALYTICS' })).toThrow('not available')
    expect(() => readBucketSettings({ versioning_status: 'ENABLED' })).toThrow('not available')
    for (const body of [null, [], 'x', { public: 'yes' }, { allowed_mime_types: ['no type'] }])
      expect(() => readBucketSettings(body)).toThrow()
  })

  test('match media types by pattern, whatever their parameters and case', () => {
    expect(allowsMimeType(null, 'a/b')).toBe(true)
    expect(allowsMimeType(['image/*'], 'Image/PNG; x=1')).toBe(true)
    expect(allowsMimeType(['image/*'], 'imagex/png')).toBe(false)
    expect(allowsMimeType(['image/png'], 'image/png2')).toBe(false)
    expect(allowsMimeType(['*/*'], 'a/b')).toBe(true)
  })
})

describe('headers', () => {
  test('never let a stored value end a field', () => {
    expect(() => readMimeType('text/html\r\nx: y')).toThrow()
    expect(() => readMimeType('text')).toThrow()
    expect(() => readCacheControl('a\nb')).toThrow()
    expect([readCacheControl('60'), readCacheControl(''), readCacheControl('no-store')]).toEqual([
      'max-age=60',
      'no-cache',
      'no-store',
    ])
    expect(() => readUserMetadata('[1]')).toThrow()
    fc.assert(
      fc.property(fc.array(fc.nat(0x10ffff)), (points) => {
        expect(attachmentDisposition(String.fromCodePoint(...points))).toMatch(
          /^attachment; filename="[^"\\\p{Cc}]*"(; filename\*=UTF-8''[\w%.!~-]*)?$/u,
        )
      }),
    )
  })

  test('of a conditional request are weighed in their order', () => {
    const validators = { etag: '"a"', modifiedAtMs: Date.UTC(2026, 0, 1, 12, 0, 0, 500) }
    const date = new Date(validators.modifiedAtMs).toUTCString()
    const earlier = new Date(validators.modifiedAtMs - 5_000).toUTCString()
    const verdict = (fields: Record<string, string>) => evaluatePreconditions(fields, validators)
    expect(verdict({})).toBe('proceed')
    expect(verdict({ 'if-none-match': '"b", W/"a"' })).toBe('unchanged')
    expect(verdict({ 'if-none-match': '"b"', 'if-modified-since': date })).toBe('proceed')
    expect(verdict({ 'if-modified-since': date })).toBe('unchanged')
    expect(verdict({ 'if-modified-since': earlier })).toBe('proceed')
    expect(verdict({ 'if-modified-since': 'nonsense' })).toBe('proceed')
    expect(verdict({ 'if-match': 'W/"a"' })).toBe('failed')
    expect(verdict({ 'if-match': '*', 'if-none-match': '*' })).toBe('unchanged')
    expect(verdict({ 'if-unmodified-since': earlier })).toBe('failed')
    expect(rangeApplies({ 'if-range': '"a"' }, validators)).toBe(true)
    expect(rangeApplies({ 'if-range': date }, validators)).toBe(true)
    expect(rangeApplies({ 'if-range': 'W/"a"' }, validators)).toBe(false)
  })

  test('of a resumable upload are pairs in base 64', () => {
    expect(readUploadMetadata(`a ${btoa('x')}, b,c ${btoa('y')}`)).toEqual(
      new Map([
        ['a', 'x'],
        ['b', ''],
        ['c', 'y'],
      ]),
    )
    expect(readUploadMetadata(undefined).size).toBe(0)
    for (const field of ['a b c', 'a ü', 'a eA==,a eA==', 'ü eA==']) expect(() => readUploadMetadata(field)).toThrow()
  })
})

test('a range of an object of many blobs is the same range of their concatenation', () => {
  const contents = fc.array(fc.string({ minLength: 1, maxLength: 9 }), { maxLength: 6 })
  fc.assert(
    fc.property(contents, fc.nat(60), fc.nat(60), (texts, a, b) => {
      const whole = texts.join('')
      const parts = texts.map((text, i) => ({ v: String(i), n: text.length }))
      const read = (range: { first: number; last: number } | undefined) =>
        cutParts(parts, range)
          .map(({ version, range: cut }) =>
            (texts[Number(version)] ?? '').slice(cut?.first, cut === undefined ? undefined : cut.last + 1),
          )
          .join('')
      expect(read(undefined)).toBe(whole)
      const [first, last] = [Math.min(a, b), Math.max(a, b)]
      expect(read({ first, last })).toBe(whole.slice(first, last + 1))
    }),
  )
})

describe('a signed URL’s token', () => {
  const [first, second] = ['the first secret of thirty-two chars', 'the second secret of thirty-two char']
  const grant = { tenantId: makeId('ten'), method: 'download', bucket: 'b', key: 'a/b' } as const

  test('ends when its time is over', async () => {
    const clock = new ManualClock()
    const signer = new UrlSigner([first], clock)
    const token = await signer.sign(grant, 60)
    clock.advance(59_000)
    expect(await signer.verify(token, grant)).toMatchObject({ expiresAtMs: Date.UTC(2026, 0, 1) + 60_000 })
    clock.advance(1_000)
    await expect(signer.verify(token, grant)).rejects.toMatchObject({ code: 'ExpiredToken' })
  })

  test('outlives a rotation of secrets until the old one is taken away', async () => {
    const clock = new ManualClock()
    const token = await new UrlSigner([first], clock).sign(grant, 60)
    await expect(new UrlSigner([second, first], clock).verify(token, grant)).resolves.toMatchObject(grant)
    await expect(new UrlSigner([second], clock).verify(token, grant)).rejects.toMatchObject({ code: 'InvalidJWT' })
  })

  test('is for one tenant, method, bucket and name', async () => {
    const signer = new UrlSigner([first], new ManualClock())
    const token = await signer.sign(grant, 60)
    const others = [{ tenantId: makeId('ten') }, { method: 'upload' as const }, { bucket: 'b/a' }, { key: 'b' }]
    for (const other of others)
      await expect(signer.verify(token, { ...grant, ...other })).rejects.toMatchObject({ code: 'InvalidJWT' })
    for (const text of ['', 'x', 'a.b.c', token.slice(1)])
      await expect(signer.verify(text, grant)).rejects.toMatchObject({ code: 'InvalidJWT' })
  })
})
