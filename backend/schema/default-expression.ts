import { quoteLiteral } from '../postgres/quote.ts'

/** Functions that a default may call, without arguments. */
const FUNCTIONS: Readonly<Record<string, string>> = {
  'now()': 'pg_catalog.now()',
  current_timestamp: 'current_timestamp',
  'current_timestamp()': 'current_timestamp',
  current_date: 'current_date',
  current_time: 'current_time',
  localtimestamp: 'localtimestamp',
  'gen_random_uuid()': 'pg_catalog.gen_random_uuid()',
  'uuidv7()': 'pg_catalog.uuidv7()',
  'uuid_generate_v4()': 'pg_catalog.gen_random_uuid()',
  'clock_timestamp()': 'pg_catalog.clock_timestamp()',
  /** The caller's own id: the `sub` of its JWT. */
  'auth.uid()': "(nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')",
}

/** `'text'`, optionally cast: what SQL writers expect a quoted default to be. */
const QUOTED = /^'((?:[^']|'')*)'(?:::[a-z0-9 ]+(?:\(\d+(?:, ?\d+)?\))?(?:\[\])?)?$/i
/** On these, `true` and `null` are text like any other. */
const IS_TEXT = /^(?:text|varchar|char)/
const WORD = /^(?:true|false|null)$/i
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i

/**
 * A column's default as SQL text, by a grammar of our own: a JSON number, boolean, object or array; the name of a known
 * function; `'quoted'`; any other text is a literal. Nothing of it is copied into SQL unquoted but checked numbers.
 * @param type the column's type as SQL text.
 */
export function parseDefault(value: unknown, type: string): string {
  if (value === null) return 'null'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return literal(String(value), type)
  if (typeof value === 'object') return literal(JSON.stringify(value), type)
  const text = String(value).trim()
  const call = text.toLowerCase().replaceAll(/\s+/g, '')
  const known = Object.hasOwn(FUNCTIONS, call) ? FUNCTIONS[call] : undefined
  if (known !== undefined) return call === 'auth.uid()' ? `cast(${known} as ${type})` : known
  if (WORD.test(text) && !IS_TEXT.test(type)) return text.toLowerCase()
  if (NUMBER.test(text)) return literal(text, type)
  const quoted = QUOTED.exec(text)
  if (quoted !== null) return literal((quoted[1] ?? '').replaceAll("''", "'"), type)
  return literal(String(value), type)
}

/** Whether a default as Postgres shows it is one that `parseDefault` reads as it is meant. */
export function isKnownDefault(text: string): boolean {
  return Object.hasOwn(FUNCTIONS, text.toLowerCase()) || WORD.test(text) || NUMBER.test(text) || QUOTED.test(text)
}

function literal(text: string, type: string): string {
  return `cast(${quoteLiteral(text)} as ${type})`
}
