import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RestError } from '../rest-error.ts'
import type { Embed, Field, JsonStep, LogicTree, SelectItem } from './ast.ts'
import { parseLogic, parseOperation } from './filter.ts'
import { parseOrder } from './order.ts'
import { parseQueryString } from './query-string.ts'
import { parseSelect } from './select.ts'

const anyName = fc.string({ minLength: 1, maxLength: 10 }).filter((name) => !/\p{Cc}/u.test(name))
const quote = (name: string) => `"${name.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
const step: fc.Arbitrary<JsonStep> = fc.oneof(
  fc.record({ asText: fc.boolean(), key: anyName }),
  fc.record({ asText: fc.boolean(), index: fc.integer({ min: -999, max: 999 }) }),
)
const field: fc.Arbitrary<Field> = fc.record({ name: anyName, path: fc.array(step, { maxLength: 3 }) })
const writeField = ({ name, path }: Field) =>
  quote(name) + path.map((s) => `${s.asText ? '->>' : '->'}${'index' in s ? s.index : quote(s.key)}`).join('')

const optional = <K extends string, T>(key: K, value: T | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: T }
const item: fc.Arbitrary<SelectItem> = fc.letrec<{ item: SelectItem }>((tie) => ({
  item: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constant<SelectItem>({ kind: 'star' }),
    fc
      .record({
        field,
        alias: fc.option(anyName, { nil: undefined }),
        cast: fc.constantFrom(undefined, 'text', 'int4'),
      })
      .map(
        ({ field: f, alias, cast }): SelectItem => ({
          kind: 'field',
          field: f,
          ...optional('alias', alias),
          ...optional('cast', cast),
        }),
      ),
    fc
      .record({
        relation: anyName,
        alias: fc.option(anyName, { nil: undefined }),
        hint: fc.option(
          anyName.filter((name) => name !== 'inner' && name !== 'left'),
          { nil: undefined },
        ),
        inner: fc.boolean(),
        items: fc.array(tie('item'), { maxLength: 3 }),
      })
      .map(
        ({ alias, hint, ...rest }): SelectItem => ({
          kind: 'embed',
          spread: false,
          ...rest,
          ...optional('alias', alias),
          ...optional('hint', hint),
        }),
      ),
  ),
})).item

function writeItem(one: SelectItem): string {
  if (one.kind === 'star') return '*'
  if (one.kind === 'count') return 'count()'
  const alias = one.alias === undefined ? '' : `${quote(one.alias)}:`
  if (one.kind === 'field') return `${alias}${writeField(one.field)}${one.cast === undefined ? '' : `::${one.cast}`}`
  const embed: Embed = one
  const hint = embed.hint === undefined ? '' : `!${quote(embed.hint)}`
  return `${alias}${quote(embed.relation)}${hint}${embed.inner ? '!inner' : ''}(${embed.items.map(writeItem).join(',')})`
}

test('a select list that was written is read back as it was', () => {
  fc.assert(
    fc.property(fc.array(item, { minLength: 1, maxLength: 4 }), (items) => {
      expect(parseSelect(items.map(writeItem).join(','))).toEqual(items)
    }),
  )
})

test('any value of a filter is read back as it was: bare, in lists, in logic trees', () => {
  fc.assert(
    fc.property(fc.string(), fc.array(fc.string(), { minLength: 1, maxLength: 3 }), field, (value, values, f) => {
      expect(parseOperation(`eq.${value}`).operation).toEqual({ kind: 'binary', operator: 'eq', value })
      expect(parseOperation(`not.in.(${values.map(quote).join(',')})`)).toEqual({
        negated: true,
        operation: { kind: 'in', values },
      })
      const tree = parseLogic(
        'or',
        false,
        `(${writeField(f)}.eq.${quote(value)},not.and(${writeField(f)}.not.is.null))`,
      )
      const expected: LogicTree = {
        kind: 'group',
        operator: 'or',
        negated: false,
        children: [
          {
            kind: 'filter',
            filter: { field: f, negated: false, operation: { kind: 'binary', operator: 'eq', value } },
          },
          {
            kind: 'group',
            operator: 'and',
            negated: true,
            children: [
              { kind: 'filter', filter: { field: f, negated: true, operation: { kind: 'is', value: 'null' } } },
            ],
          },
        ],
      }
      expect(tree).toEqual(expected)
    }),
  )
})

test('an order that was written is read back as it was', () => {
  const term = fc.record({ field, direction: fc.constantFrom('asc', 'desc'), nulls: fc.constantFrom('first', 'last') })
  fc.assert(
    fc.property(fc.array(term, { minLength: 1, maxLength: 3 }), (terms) => {
      expect(parseOrder(terms.map((t) => `${writeField(t.field)}.${t.direction}.nulls${t.nulls}`).join(','))).toEqual(
        terms,
      )
    }),
  )
})

test('every text is either a query or a PGRST100, never another fault, and soon', () => {
  const pieces = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          ...'()",.:!->*\\{} ',
          'not.',
          'and(',
          'or(',
          'in.(',
          'eq.',
          'is.',
          'fts(',
          '->>',
          '::',
          'count()',
          '...',
          'a',
        ),
        fc.string({ maxLength: 3 }),
      ),
      { maxLength: 40 },
    )
    .map((parts) => parts.join(''))
  const key = fc.oneof(
    fc.constantFrom('select', 'order', 'and', 'or', 'not.or', 'a', 'a.order', 'columns', 'on_conflict', 'limit'),
    pieces,
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(key, pieces), { maxLength: 4 }), (parameters) => {
      try {
        parseQueryString(parameters)
      } catch (fault) {
        expect(fault).toBeInstanceOf(RestError)
        expect((fault as RestError).code).toBe('PGRST100')
      }
    }),
    { numRuns: 2_000 },
  )
})

test('nesting is bounded', () => {
  expect(() => parseSelect('a('.repeat(30) + ')'.repeat(30))).toThrow(RestError)
  expect(() => parseLogic('and', false, `${'(and'.repeat(500)}(a.eq.1)${')'.repeat(500)}`)).toThrow(RestError)
  expect(() => parseSelect(`a${'->b'.repeat(200)}`)).toThrow(RestError)
})
