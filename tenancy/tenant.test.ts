import fc from 'fast-check'
import { expect, test } from 'vitest'
import { makeId } from '../runtime/ids.ts'
import { tenantNameSchema, tenantSchemaName } from './tenant.ts'

test.each(['acme', 'a-1', '0ab', 'a'.repeat(40)])('%s may be a name', (name) => {
  expect(tenantNameSchema.safeParse(name).success).toBe(true)
})

test.each([
  'ab',
  'a'.repeat(41),
  '-ab',
  'ab-',
  'Acme',
  'a.b',
  'a_b',
  'control',
  'www',
  'xn--80ak6aa92e',
  'äbc',
  'abc\n',
  '',
])('%j may not be a name', (name) => {
  expect(tenantNameSchema.safeParse(name).success).toBe(false)
})

test('an accepted name is always one DNS label', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 3, maxLength: 40, unit: fc.constantFrom(...'ab0-._A\n') }), (name) => {
      if (tenantNameSchema.safeParse(name).success)
        expect(new URL(`http://${name}.localhost/`).hostname).toBe(`${name}.localhost`)
    }),
  )
})

test('the schema name comes from the id and from nothing else', () => {
  expect(tenantSchemaName(makeId('ten'))).toMatch(/^t_[0-9a-z]{26}$/)
  expect(() => tenantSchemaName('ten_"; drop schema public')).toThrow()
})
