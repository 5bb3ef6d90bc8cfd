import {
  BINARY_OPERATORS,
  type BinaryOperator,
  type Filter,
  type IsValue,
  type LogicTree,
  type Operation,
  QUANTIFIABLE,
  SEARCH_FUNCTIONS,
  type SearchOperator,
} from './ast.ts'
import { Cursor } from './cursor.ts'
import { parseField } from './field.ts'

const MAX_LOGIC_DEPTH = 20
const OPERATOR_CHARACTER = /[a-z]/
const IS_VALUES: readonly IsValue[] = ['not_null', 'null', 'true', 'false', 'unknown']

/** The value of a parameter that is a filter: `not.eq.3`. */
export function parseOperation(text: string): Pick<Filter, 'negated' | 'operation'> {
  const cursor = new Cursor(text, 'filter')
  const result = parseNegatable(cursor, () => cursor.takeRest())
  cursor.expectEnd()
  return result
}

/** The value of an `and` / `or` parameter: `(a.eq.1,not.or(b.lt.2,c.is.null))`. */
export function parseLogic(operator: 'and' | 'or', negated: boolean, text: string): LogicTree {
  const cursor = new Cursor(text, 'logic tree')
  const children = parseLogicChildren(cursor, 1)
  cursor.expectEnd()
  return { kind: 'group', operator, negated, children }
}

function parseLogicChildren(cursor: Cursor, depth: number): readonly LogicTree[] {
  if (depth > MAX_LOGIC_DEPTH) cursor.fail(`at most ${MAX_LOGIC_DEPTH} levels`)
  const children: LogicTree[] = []
  cursor.skipSpaces()
  cursor.expect('(')
  do {
    cursor.skipSpaces()
    children.push(parseLogicTree(cursor, depth))
    cursor.skipSpaces()
  } while (cursor.eat(','))
  cursor.expect(')')
  return children
}

function parseLogicTree(cursor: Cursor, depth: number): LogicTree {
  const group = cursor.attempt(() => {
    const negated = cursor.eat('not.')
    const operator = cursor.eat('and') ? 'and' : cursor.eat('or') ? 'or' : undefined
    cursor.skipSpaces()
    return operator !== undefined && cursor.peek() === '(' ? { operator, negated } : undefined
  })
  if (group !== undefined)
    return { kind: 'group', ...group, children: parseLogicChildren(cursor, depth + 1) } as LogicTree
  const field = parseField(cursor)
  cursor.expect('.')
  return { kind: 'filter', filter: { field, ...parseNegatable(cursor, () => parseLogicValue(cursor)) } }
}

/** A value inside a logic tree ends at a comma or parenthesis unless it is quoted or an array. */
function parseLogicValue(cursor: Cursor): string {
  const quoted = cursor.attempt(() => {
    const value = cursor.quoted()
    return value !== undefined && endsListItem(cursor) ? value : undefined
  })
  if (quoted !== undefined) return quoted
  const array = cursor.attempt(() => {
    if (!cursor.eat('{')) return undefined
    const inner = cursor.takeUntil('{}')
    return cursor.eat('}') ? `{${inner}}` : undefined
  })
  return array ?? cursor.takeUntil(',)')
}

function parseNegatable(cursor: Cursor, value: () => string): Pick<Filter, 'negated' | 'operation'> {
  const negated = cursor.eat('not.')
  return { negated, operation: parseOne(cursor, value) }
}

function parseOne(cursor: Cursor, value: () => string): Operation {
  const start = cursor.position
  const operator = cursor.takeWhile(OPERATOR_CHARACTER)
  if (operator in SEARCH_FUNCTIONS) {
    const config = cursor.eat('(') ? parseSearchConfig(cursor) : undefined
    cursor.expect('.')
    const search = { kind: 'search', operator: operator as SearchOperator, value: value() } as const
    return config === undefined ? search : { ...search, config }
  }
  if (operator === 'in') {
    cursor.expect('.')
    return { kind: 'in', values: parseList(cursor) }
  }
  if (operator === 'is') {
    cursor.expect('.')
    return { kind: 'is', value: parseIsValue(cursor) }
  }
  if (operator in BINARY_OPERATORS) {
    const quantifier = QUANTIFIABLE.has(operator)
      ? cursor.eat('(any)')
        ? 'any'
        : cursor.eat('(all)')
          ? 'all'
          : undefined
      : undefined
    cursor.expect('.')
    const binary = { kind: 'binary', operator: operator as BinaryOperator, value: value() } as const
    return quantifier === undefined ? binary : { ...binary, quantifier }
  }
  cursor.position = start
  cursor.fail('operator (eq, gt, ...)')
}

function parseSearchConfig(cursor: Cursor): string {
  // Letters, digits and `_`, as PostgREST has it; a number or `-` would be an object's id to Postgres, not a name.
  const config = cursor.takeWhile(/[\p{L}\p{N}_]/u)
  if (!/\D/.test(config)) cursor.fail('the name of a text search configuration')
  cursor.expect(')')
  return config
}

function parseIsValue(cursor: Cursor): IsValue {
  const start = cursor.position
  const word = cursor.takeWhile(/[A-Za-z_]/).toLowerCase()
  const value = IS_VALUES.find((candidate) => candidate === word)
  if (value !== undefined) return value
  cursor.position = start
  cursor.fail('null or trilean value (unknown, true, false)')
}

/** `(a,b,"c,d")` */
function parseList(cursor: Cursor): readonly string[] {
  cursor.skipSpaces()
  cursor.expect('(')
  const values: string[] = []
  do {
    const quoted = cursor.attempt(() => {
      const value = cursor.quoted()
      return value !== undefined && endsListItem(cursor) ? value : undefined
    })
    values.push(quoted ?? cursor.takeUntil(',)'))
  } while (cursor.eat(','))
  cursor.expect(')')
  return values
}

function endsListItem(cursor: Cursor): boolean {
  return cursor.atEnd || cursor.peek() === ',' || cursor.peek() === ')'
}
