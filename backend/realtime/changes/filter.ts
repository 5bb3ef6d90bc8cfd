import { BindingError } from '../channels/changes-port.ts'

const OPERATORS = ['eq', 'neq', 'lt', 'lte', 'gt', 'gte', 'in', 'is', 'isdistinct', 'like', 'ilike'] as const
type Operator = (typeof OPERATORS)[number]

/** One condition of a filter, its values as the client wrote them. */
export type Condition = { column: string; operator: Operator; isNegated: boolean; values: readonly string[] }

/** A condition ready to be asked: values are in the canonical text form of the column's type. */
export type Matcher = (value: string | null) => boolean

const IS_VALUES: ReadonlySet<string> = new Set(['null', 'true', 'false', 'unknown'])
/** Types whose order is that of numbers, and those whose order is that of their canonical text (UTF-8 bytes). */
const NUMERIC: ReadonlySet<string> = new Set(['int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'numeric'])
const TEXTUAL: ReadonlySet<string> = new Set([
  ...['text', 'varchar', 'bpchar', 'name', 'uuid', 'bool', 'date', 'time', 'timestamp', 'timestamptz'],
])

/**
 * Reads `column=operator.value[,...]`: conditions that must all hold. Values may be quoted as in PostgREST.
 * @throws BindingError
 */
export function parseFilter(filter: string): Condition[] {
  return splitOutsideQuotes(filter).map((part) => {
    const equals = part.indexOf('=')
    const column = part.slice(0, equals).trim()
    let rest = part.slice(equals + 1)
    const isNegated = rest.startsWith('not.')
    if (isNegated) rest = rest.slice('not.'.length)
    const dot = rest.indexOf('.')
    const operator = OPERATORS.find((known) => known === rest.slice(0, dot))
    if (equals <= 0 || column === '' || operator === undefined)
      throw new BindingError(`Error parsing \`filter\` params: ${JSON.stringify(part)}`)
    const text = rest.slice(dot + 1)
    const values = operator === 'in' ? readList(text) : [unquote(text)]
    if (operator === 'is' && !IS_VALUES.has(values[0] ?? ''))
      throw new BindingError('Error parsing `filter` params: `is` takes null, true, false or unknown')
    return { column, operator, isNegated, values }
  })
}

/** True when the condition's values must be of the column's type, and so be brought into its canonical form. */
export function takesTypedValues({ operator }: Condition): boolean {
  return operator !== 'is' && operator !== 'like' && operator !== 'ilike'
}

/**
 * Makes the condition ready for a column of `type` (the name in pg_type).
 * @throws BindingError when the type has no order that we know and one is asked for.
 */
export function compileCondition(condition: Condition, type: string): Matcher {
  const test = compileOperator(condition, type)
  return (value) => {
    const result = test(value)
    // SQL's third truth value: a comparison with null holds neither plain nor negated.
    return result !== null && result !== condition.isNegated
  }
}

function compileOperator({ operator, values }: Condition, type: string): (value: string | null) => boolean | null {
  const [first = ''] = values
  const notNull = (test: (value: string) => boolean) => (value: string | null) => (value === null ? null : test(value))
  switch (operator) {
    case 'eq':
      return notNull((value) => value === first)
    case 'neq':
      return notNull((value) => value !== first)
    case 'in': {
      const set = new Set(values)
      return notNull((value) => set.has(value))
    }
    case 'isdistinct':
      return (value) => value !== first
    case 'is':
      if (first === 'null' || first === 'unknown') return (value) => value === null
      return (value) => value === (first === 'true' ? 't' : 'f')
    case 'like':
      return notNull((value) => isLike(value, first))
    case 'ilike':
      return notNull((value) => isLike(value.toLowerCase(), first.toLowerCase()))
    default: {
      const compare = NUMERIC.has(type) ? compareNumbers : TEXTUAL.has(type) ? compareTexts : undefined
      if (compare === undefined) throw new BindingError(`Error: a filter cannot order values of type ${type}`)
      const holds = {
        lt: (n: number) => n < 0,
        lte: (n: number) => n <= 0,
        gt: (n: number) => n > 0,
        gte: (n: number) => n >= 0,
      }
      return notNull((value) => holds[operator](compare(value, first)))
    }
  }
}

/** Compares numbers in text form without losing digits. */
export function compareNumbers(a: string, b: string): number {
  const left = readDecimal(a)
  const right = readDecimal(b)
  if (left === undefined || right === undefined) return compareFloats(Number(a), Number(b))
  const digits = Math.max(left.fraction.length, right.fraction.length)
  const scaled = ({ sign, whole, fraction }: Decimal) => sign * BigInt(whole + fraction.padEnd(digits, '0'))
  const difference = scaled(left) - scaled(right)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

type Decimal = { sign: bigint; whole: string; fraction: string }

function readDecimal(text: string): Decimal | undefined {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text)
  if (match === null) return undefined
  return { sign: match[1] === '-' ? -1n : 1n, whole: match[2] ?? '0', fraction: match[3] ?? '' }
}

/** Postgres holds NaN to be greater than every number and equal to itself. */
function compareFloats(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  return a < b ? -1 : a > b ? 1 : 0
}

function compareTexts(a: string, b: string): number {
  if (a === b || a === '-infinity' || b === 'infinity') return a === b ? 0 : -1
  if (b === '-infinity' || a === 'infinity') return 1
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** SQL's LIKE, in time bounded by the product of the lengths: a hostile pattern buys nothing. */
export function isLike(value: string, pattern: string): boolean {
  const tokens = likeTokens(pattern)
  const text = [...value]
  let at = 0
  let token = 0
  let starToken = -1
  let starAt = 0
  while (at < text.length) {
    const current = tokens[token]
    if (current === ANY_TEXT) {
      starToken = token++
      starAt = at
    } else if (current !== undefined && (current === ANY_CHARACTER || current === text[at])) {
      token++
      at++
    } else if (starToken >= 0) {
      token = starToken + 1
      at = ++starAt
    } else return false
  }
  while (tokens[token] === ANY_TEXT) token++
  return token === tokens.length
}

const ANY_TEXT = Symbol('%')
const ANY_CHARACTER = Symbol('_')

function likeTokens(pattern: string): (string | symbol)[] {
  const tokens: (string | symbol)[] = []
  const characters = [...pattern]
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] ?? ''
    if (character === '%') tokens.push(ANY_TEXT)
    else if (character === '_') tokens.push(ANY_CHARACTER)
    else if (character === '\\') tokens.push(characters[++i] ?? '\\')
    else tokens.push(character)
  }
  return tokens
}

function readList(text: string): string[] {
  if (!text.startsWith('(') || !text.endsWith(')'))
    throw new BindingError('Error parsing `filter` params: `in` takes a list in parentheses')
  return splitOutsideQuotes(text.slice(1, -1)).map(unquote)
}

/** Splits at commas that lie outside quotes and parentheses. */
function splitOutsideQuotes(text: string): string[] {
  const parts: string[] = []
  let part = ''
  let depth = 0
  let isQuoted = false
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i)
    if (isQuoted && character === '\\') part += character + text.charAt(++i)
    else if (character === ',' && !isQuoted && depth === 0) {
      parts.push(part)
      part = ''
    } else {
      if (character === '"') isQuoted = !isQuoted
      else if (!isQuoted && character === '(') depth++
      else if (!isQuoted && character === ')') depth--
      part += character
    }
  }
  parts.push(part)
  return parts
}

function unquote(text: string): string {
  if (text.length < 2 || !text.startsWith('"') || !text.endsWith('"')) return text
  return text.slice(1, -1).replace(/\\(.)/gs, '$1')
}
