import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatRowRule, type Operand, parseRowRule, type RowRule, RowRuleError } from './row-rule.ts'

test('a rule is read as it is meant', () => {
  expect(parseRowRule("owner = auth.uid() or not (draft and status in ('new', 'old'))")).toEqual({
    kind: 'or',
    parts: [
      {
        kind: 'compare',
        operator: '=',
        left: { kind: 'column', name: 'owner' },
        right: { kind: 'claim', path: ['sub'] },
      },
      {
        kind: 'not',
        rule: {
          kind: 'and',
          parts: [
            { kind: 'true', operand: { kind: 'column', name: 'draft' } },
            {
              kind: 'in',
              operand: { kind: 'column', name: 'status' },
              values: [
                { kind: 'literal', value: 'new' },
                { kind: 'literal', value: 'old' },
              ],
              negated: false,
            },
          ],
        },
      },
    ],
  })
})

test.each([
  ['', 'ends where a column, a claim or a value is needed'],
  ['a = ', 'ends where a column, a claim or a value is needed'],
  ['a = b c', 'needs "and", "or" or the end at character 7'],
  ['pg_sleep(1)', 'needs "and", "or" or the end at character 9'],
  ['pg_catalog.version', 'knows no "pg_catalog.version": write claims.version or a column'],
  ['auth.email()', 'knows auth.uid() and auth.role() only'],
  ['a = (select 1)', 'needs a column, a claim or a value at character 5'],
  ['a in (b)', 'needs a value at character 8'],
  ['a = $1', 'is not understood at character 4'],
  ['a; drop table b', 'is not understood at character 2'],
  ["a = 'open", 'is not understood at character 4'],
  ['a = 1e9', 'is not understood at character 4'],
  [`${'('.repeat(40)}a${')'.repeat(40)}`, 'is nested too deeply'],
  ['a = \u0000', 'has control characters'],
])('%j is refused: %s', (text, reason) => {
  expect(() => parseRowRule(text)).toThrow(new RowRuleError(reason))
})

const name = fc.oneof(
  fc.constantFrom('a', 'and', 'claims', 'Größe', 'x"y', 'true', 'now'),
  fc.stringMatching(/^[ -~]{1,8}$/),
)
const literal = fc.record({
  kind: fc.constant('literal' as const),
  value: fc.oneof(fc.stringMatching(/^[ -~ä']{0,8}$/), fc.integer(), fc.boolean()),
})
const claim = fc.record({
  kind: fc.constant('claim' as const),
  path: fc.array(fc.constantFrom('sub', 'app_metadata', 'in'), { minLength: 1, maxLength: 3 }),
})
const operand: fc.Arbitrary<Operand> = fc.oneof(
  fc.record({ kind: fc.constant('column' as const), name }),
  claim,
  literal,
  fc.constant({ kind: 'now' as const }),
)
const rule = fc.letrec<{ rule: RowRule }>((tie) => ({
  rule: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.record({ kind: fc.constant('true' as const), operand }),
    fc.record({ kind: fc.constant('null' as const), operand, negated: fc.boolean() }),
    fc.record({
      kind: fc.constant('compare' as const),
      operator: fc.constantFrom('=' as const, '<>' as const, '>=' as const),
      left: operand,
      right: operand,
    }),
    fc.record({
      kind: fc.constant('in' as const),
      operand,
      values: fc.oneof(fc.array(literal, { minLength: 1, maxLength: 3 }), claim),
      negated: fc.boolean(),
    }),
    fc.array(tie('rule'), { minLength: 2, maxLength: 3 }).map((parts) => ({ kind: 'and' as const, parts })),
    tie('rule')
      .filter((inner) => inner.kind !== 'not')
      .map((inner) => ({ kind: 'not' as const, rule: inner })),
  ),
})).rule

test('what a rule is written as reads back as the rule, and renaming a column renames nothing else', () => {
  fc.assert(
    fc.property(rule, (one) => {
      expect(parseRowRule(formatRowRule(one))).toEqual(one)
      const renamed = formatRowRule(one, (column) => (column === 'a' ? 'renamed column' : column))
      expect(JSON.stringify(parseRowRule(renamed))).toBe(
        JSON.stringify(one).replaceAll('{"kind":"column","name":"a"}', '{"kind":"column","name":"renamed column"}'),
      )
    }),
  )
})
