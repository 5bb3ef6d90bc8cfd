import { RestError } from '../rest-error.ts'

/** A body to write: JSON text that Postgres reads, and what we had to know of it. */
export type Payload = { json: string; isArray: boolean; rowCount: number; keys: readonly string[] }

/**
 * @param hasColumns when the request names the columns, rows may have any keys.
 * @throws RestError PGRST102 for a body that cannot be rows; PGRST107 (415) for a content type that we do not read.
 */
export function parsePayload(contentType: string | undefined, body: string, hasColumns: boolean): Payload {
  const type = (contentType ?? 'application/json').split(';')[0]?.trim().toLowerCase()
  switch (type) {
    case '':
    case 'application/json':
    case 'application/vnd.pgrst.object+json':
    case 'application/vnd.pgrst.array+json':
      return parseJson(body, hasColumns)
    case 'text/csv':
      return fromRows(parseCsv(body))
    case 'application/x-www-form-urlencoded':
      return fromObject(Object.fromEntries(new URLSearchParams(body)))
    default:
      throw new RestError(415, 'PGRST102', `Content-Type not acceptable: ${type}`)
  }
}

function parseJson(body: string, hasColumns: boolean): Payload {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    throw new RestError(400, 'PGRST102', 'Empty or invalid json')
  }
  if (!Array.isArray(value)) {
    if (!isObject(value)) throw new RestError(400, 'PGRST102', 'Empty or invalid json')
    return { json: body, isArray: false, rowCount: 1, keys: Object.keys(value) }
  }
  const rows: readonly unknown[] = value
  const [head] = rows
  if (head === undefined) return { json: body, isArray: true, rowCount: 0, keys: [] }
  const keys = isObject(head) ? Object.keys(head) : []
  for (const row of rows) {
    if (!isObject(row) || !(hasColumns || hasKeys(row, keys)))
      throw new RestError(400, 'PGRST102', 'All object keys must match')
  }
  return { json: body, isArray: true, rowCount: rows.length, keys }
}

function fromObject(row: Record<string, unknown>): Payload {
  return { json: JSON.stringify(row), isArray: false, rowCount: 1, keys: Object.keys(row) }
}

function fromRows(rows: readonly Record<string, string | null>[]): Payload {
  return { json: JSON.stringify(rows), isArray: true, rowCount: rows.length, keys: Object.keys(rows[0] ?? {}) }
}

/** CSV by RFC 4180 with a header line; `NULL` is null, as in PostgREST. */
function parseCsv(text: string): readonly Record<string, string | null>[] {
  const lines = readCsv(text)
  const [header, ...rows] = lines
  if (header === undefined) return []
  return rows.map((row) => {
    if (row.length !== header.length) throw new RestError(400, 'PGRST102', 'All lines must have same number of fields')
    return Object.fromEntries(header.map((name, i) => [name, row[i] === 'NULL' ? null : (row[i] ?? null)]))
  })
}

function readCsv(text: string): readonly (readonly string[])[] {
  const rows: string[][] = []
  let row: string[] = []
  let at = 0
  while (at < text.length) {
    let field = ''
    if (text[at] === '"') {
      for (at += 1; ; at += 1) {
        if (at >= text.length) throw new RestError(400, 'PGRST102', 'Empty or invalid csv: a quote is not closed')
        if (text[at] !== '"') field += text[at]
        else if (text[at + 1] === '"') {
          field += '"'
          at += 1
        } else break
      }
      at += 1
    } else {
      const start = at
      while (at < text.length && text[at] !== ',' && text[at] !== '\n' && text[at] !== '\r') at += 1
      field = text.slice(start, at)
    }
    row.push(field)
    if (text[at] === ',') {
      at += 1
      if (at >= text.length) row.push('')
      continue
    }
    if (text[at] === '\r') at += 1
    if (text[at] === '\n') at += 1
    else if (at < text.length) throw new RestError(400, 'PGRST102', 'Empty or invalid csv: text after a closing quote')
    rows.push(row)
    row = []
  }
  if (row.length > 0) rows.push(row)
  return rows
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hasKeys(row: Record<string, unknown>, keys: readonly string[]): boolean {
  const own = Object.keys(row)
  return own.length === keys.length && keys.every((key) => Object.hasOwn(row, key))
}
