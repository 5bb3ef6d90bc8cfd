import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BindingError } from '../channels/changes-port.ts'
import { compareNumbers, compileCondition, isLike, parseFilter } from './filter.ts'

/** What a filter says of a value in a column of the type. */
function matches(filter: string, type: string, value: string | null): boolean {
  return parseFilter(filter).every((condition) => compileCondition(condition, type)(value))
}

test.for<[string, string, string | null, boolean]>([
  ['n=eq.5', 'int4', '5', true],
  ['n=eq.5', 'int4', null, false],
  ['n=neq.5', 'int4', null, false],
  ['n=not.eq.5', 'int4', null, false],
  ['n=isdistinct.5', 'int4', null, true],
  ['n=lt.10', 'int8', '9', true],
  ['n=lt.9223372036854775807', 'int8', '9223372036854775806', true],
  ['n=gt.0.1', 'numeric', '0.10000000000000000000001', true],
  ['n=gt.5', 'float8', 'NaN', true],
  ['t=lt.b', 'text', 'a', true],
  ['t=lt.9', 'text', '10', true],
  ['t=in.(a,"b,c")', 'text', 'b,c', true],
  ['t=not.in.(a,"b,c")', 'text', 'd', true],
  ['t=is.null', 'text', null, true],
  ['t=not.is.null', 'text', null, false],
  ['t=is.true', 'bool', 't', true],
  ['t=like.a_c%', 'text', 'abcd', true],
  ['t=like.a\\_c', 'text', 'abc', false],
  ['t=gte.2026-01-01 00:00:00+00', 'timestamptz', '2026-01-01 00:00:00.5+00', true],
  ['t=lt.infinity', 'timestamptz', '2026-01-01 00:00:00+00', true],
  ['t=eq."say ""', 'text', '"say "', false],
  ['t=eq."a \\"quoted\\" word"', 'text', 'a "quoted" word', true],
])('%s on %s: %s is %s', ([filter, type, value, expected]) => {
  expect(matches(filter, type, value)).toBe(expected)
})

test.for(['', 'n', 'n=', '=eq.1', 'n=near.1', 'n=eq', 'n=in.1', 'n=is.maybe', 'n=eq.1,'])('%j is refused', (filter) => {
  expect(() => parseFilter(filter)).toThrow(BindingError)
})

test('numbers compare as numbers do, however they are written', () => {
  const decimal = fc.tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.nat(10))
  const write = ([n, digits]: [bigint, number]) => {
    const text = (n < 0n ? -n : n).toString().padStart(digits + 1, '0')
    const at = text.length - digits
    return `${n < 0n ? '-' : ''}${text.slice(0, at)}${digits > 0 ? `.${text.slice(at)}` : ''}`
  }
  fc.assert(
    fc.property(decimal, decimal, (a, b) => {
      const difference = a[0] * 10n ** BigInt(10 - a[1]) - b[0] * 10n ** BigInt(10 - b[1])
      expect(compareNumbers(write(a), write(b))).toBe(difference < 0n ? -1 : difference > 0n ? 1 : 0)
    }),
  )
})

test('LIKE agrees with the regular expression that says the same', () => {
  const small = fc.string({ unit: fc.constantFrom('a', 'b', '%', '_'), maxLength: 8 })
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 }), small, (value, pattern) => {
      const expression = new RegExp(`^${pattern.replaceAll('%', '.*').replaceAll('_', '.')}$`)
      expect(isLike(value, pattern)).toBe(expression.test(value))
    }),
    { numRuns: 500 },
  )
})

test('no filter at all does anything but parse or be refused', () => {
  const text = fc.string({
    unit: fc.constantFrom('n', '=', '.', ',', '(', ')', '"', '\\', 'eq', 'in', 'not', 'is', 'null'),
  })
  fc.assert(
    fc.property(fc.oneof(text, fc.string()), (filter) => {
      try {
        parseFilter(filter)
      } catch (fault) {
        expect(fault).toBeInstanceOf(BindingError)
      }
    }),
    { numRuns: 500 },
  )
})
