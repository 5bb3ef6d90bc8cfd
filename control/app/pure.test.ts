import fc from 'fast-check'
import { expect, test } from 'vitest'
import { QUOTA_NAMES, type Quotas } from '../../tenancy/plan.ts'
import { decodeCursor, encodeCursor, makePage } from './cursor.ts'
import { makeEtag, matchesNone, requireMatch } from './etag.ts'
import { makeFingerprint } from './idempotency.ts'
import { mergeQuotas } from './merge-patch.ts'

test('a cursor leads back to its position, in its own list only', () => {
  fc.assert(
    fc.property(fc.string(), (position) => {
      const cursor = encodeCursor('tenants', position)
      expect(decodeCursor('tenants', cursor)).toBe(position)
      expect(() => decodeCursor('audit-log', cursor)).toThrow()
    }),
  )
})

test('whatever is sent as a cursor is understood or refused as a bad request', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        decodeCursor('tenants', text)
      } catch (fault) {
        expect(fault).toMatchObject({ status: 400, code: 'validation_failed' })
      }
    }),
  )
})

test('pages of any size give every row once, in order', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat()), fc.integer({ min: 1, max: 10 }), (numbers, limit) => {
      const rows = numbers.toSorted((a, b) => b - a)
      const seen: number[] = []
      for (let cursor: string | undefined; ; ) {
        const before = decodeCursor('n', cursor)
        const rest = before === undefined ? rows : rows.filter((row) => row < Number(before))
        const page = makePage('n', rest.slice(0, limit + 1), limit, String, (row) => row)
        seen.push(...page.data)
        if (page.next_cursor === null) break
        cursor = page.next_cursor
      }
      expect(seen).toEqual(rows)
    }),
  )
})

const value = fc.option(fc.nat({ max: 1_000_000 }), { nil: null })
const patch = fc.dictionary(fc.constantFrom(...QUOTA_NAMES), value, { noNullPrototype: true })
const overrides = fc.dictionary(fc.constantFrom(...QUOTA_NAMES), fc.nat(), { noNullPrototype: true })

test('a merge patch sets values, takes nulls away, leaves the rest, and is idempotent (RFC 7396)', () => {
  fc.assert(
    fc.property(overrides, patch, (current, change) => {
      const merged = mergeQuotas(current as Partial<Quotas>, change)
      for (const name of QUOTA_NAMES) {
        if (!(name in change)) expect(merged[name]).toBe(current[name])
        else if (change[name] === null) expect(name in merged).toBe(false)
        else expect(merged[name]).toBe(change[name])
      }
      expect(mergeQuotas(merged, change)).toEqual(merged)
      expect(mergeQuotas(merged, null)).toEqual({})
      expect(mergeQuotas(merged, undefined)).toEqual(merged)
    }),
  )
})

test('If-Match fails only when the revision differs; If-None-Match when anything does', () => {
  const etag = makeEtag(7, 'active.1')
  expect(() => requireMatch(undefined, etag)).not.toThrow()
  expect(() => requireMatch('*', etag)).not.toThrow()
  expect(() => requireMatch('"6.x", "7.active.0"', etag)).not.toThrow()
  expect(() => requireMatch('"6.active.1"', etag)).toThrow()
  expect(() => requireMatch(`W/${etag}`, etag)).toThrow()
  expect(() => requireMatch('nonsense', etag)).toThrow()
  expect(matchesNone(etag, etag)).toBe(true)
  expect(matchesNone(`"x", W/${etag}`, etag)).toBe(true)
  expect(matchesNone('"7.active.0"', etag)).toBe(false)
  expect(matchesNone(undefined, etag)).toBe(false)
})

test('a fingerprint does not depend on the order of members, but on everything else', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }), (body) => {
      const reversed = Object.fromEntries(Object.entries(body).toReversed())
      const of = (path: string, value: unknown) => makeFingerprint('POST', path, '', JSON.stringify(value))
      expect(of('/v1/tenants', reversed)).toBe(of('/v1/tenants', body))
      expect(of('/v1/webhooks', body)).not.toBe(of('/v1/tenants', body))
      expect(of('/v1/tenants', { ...body, more: 1, even: 2 })).not.toBe(
        of('/v1/tenants', { ...body, more: 1, even: 3 }),
      )
    }),
  )
})
