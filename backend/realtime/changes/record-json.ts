import pg from 'pg'
import { TENANT_COLUMN } from '../../catalogue/catalogue.ts'
import type { PgTuple } from './pgoutput.ts'
import type { ChangedTable } from './row-change.ts'

const NUMBERS: ReadonlySet<string> = new Set(['int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'numeric'])
const JSON_NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/

type ArrayParser = { create<Entry>(text: string, transform: (text: string) => Entry): { parse(): Nested<Entry>[] } }
type Nested<Entry> = Entry | null | Nested<Entry>[]
const { arrayParser } = pg.types as unknown as { arrayParser: ArrayParser }

/**
 * A row as JSON text, the way `to_json` would write it, without the column that is ours and without values that the stream did
 * not send. `wanted` narrows it to these columns.
 */
export function recordJson(table: ChangedTable, row: PgTuple, wanted?: (column: string) => boolean): string {
  const members: string[] = []
  for (const [index, { name, type }] of table.columns.entries()) {
    const value = row[index]
    if (name === TENANT_COLUMN || value === undefined || value === false || wanted?.(name) === false) continue
    members.push(`${JSON.stringify(name)}:${value === null ? 'null' : valueJson(type, value)}`)
  }
  return `{${members.join(',')}}`
}

/** The columns as realtime-js reads them to convert values. */
export function columnsJson(table: ChangedTable, wanted?: (column: string) => boolean): string {
  return JSON.stringify(
    table.columns
      .filter(({ name }) => name !== TENANT_COLUMN && wanted?.(name) !== false)
      .map(({ name, type }) => ({ name, type })),
  )
}

/** One value in Postgres's text form (ISO dates, UTC) as JSON text. */
export function valueJson(type: string, text: string): string {
  if (NUMBERS.has(type)) return JSON_NUMBER.test(text) ? text : JSON.stringify(text)
  switch (type) {
    case 'bool':
      return text === 't' ? 'true' : 'false'
    case 'json':
    case 'jsonb':
      return text
    case 'timestamp':
    case 'timestamptz':
      // ISO 8601 as `to_json` writes it: a `T`, and minutes in the offset.
      return JSON.stringify(text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'))
    default:
      return type.startsWith('_') ? arrayJson(type.slice(1), text) : JSON.stringify(text)
  }
}

function arrayJson(type: string, text: string): string {
  // An array with bounds of its own (`[0:1]={1,2}`) stays text.
  if (!text.startsWith('{')) return JSON.stringify(text)
  const render = (entries: Nested<string>[]): string =>
    `[${entries.map((entry) => (entry === null ? 'null' : Array.isArray(entry) ? render(entry) : entry)).join(',')}]`
  return render(arrayParser.create(text, (entry) => valueJson(type, entry)).parse())
}
