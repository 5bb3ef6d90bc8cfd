import { RestError } from '../rest-error.ts'
import type { At, Field, LogicTree, OrderTerm, ParsedQuery, SelectItem } from './ast.ts'
import { Cursor } from './cursor.ts'
import { parseJsonPath } from './field.ts'
import { parseLogic, parseOperation } from './filter.ts'
import { parseOrder } from './order.ts'
import { plainFilterPrefix } from './plain-filter.ts'
import { parseSelect } from './select.ts'

/** More parameters than this are not a query but an attack on the planner. */
const MAX_PARAMETERS = 200
const STAR: readonly SelectItem[] = [{ kind: 'star' }]

/** Parses the parameters of a request on a relation. @throws RestError PGRST100. */
export function parseQueryString(parameters: readonly (readonly [string, string])[]): ParsedQuery {
  if (parameters.length > MAX_PARAMETERS)
    throw new RestError(400, 'PGRST100', `A query takes at most ${MAX_PARAMETERS} parameters`)
  let select: readonly SelectItem[] = STAR
  let columns: readonly string[] | undefined
  let onConflict: readonly string[] | undefined
  const conditions: At<LogicTree>[] = []
  const orders: At<readonly OrderTerm[]>[] = []
  const limits: At<number>[] = []
  const offsets: At<number>[] = []
  for (const [i, [key, value]] of parameters.entries()) {
    const { path, word } = splitKey(key)
    if (key === 'select') select = parseSelect(value)
    else if (key === 'columns') columns = parseNames(value, 'columns parameter')
    else if (key === 'on_conflict') onConflict = parseNames(value, 'on_conflict parameter')
    else if (word === 'order') orders.push({ path, value: parseOrder(value) })
    else if (word === 'limit') pushNumber(limits, path, value)
    else if (word === 'offset') pushNumber(offsets, path, value)
    else if (word === 'and' || word === 'or') {
      const negated = path.at(-1) === 'not'
      conditions.push({ path: negated ? path.slice(0, -1) : path, value: parseLogic(word, negated, value) })
    } else {
      const target = parseFilterKey(key)
      const { negated, operation } = parseOperation(value)
      const isPlain = operation.kind === 'binary' && plainFilterPrefix(key, value) !== undefined
      const filter = { field: target.value, negated, operation: isPlain ? { ...operation, parameter: i } : operation }
      conditions.push({ path: target.path, value: { kind: 'filter', filter } })
    }
  }
  return { select, conditions, orders, limits, offsets, columns, onConflict }
}

/** `a.b.order` is the word `order` for the embed `a` / `b`. */
function splitKey(key: string): { path: readonly string[]; word: string } {
  const dot = key.lastIndexOf('.')
  return dot < 0 ? { path: [], word: key } : { path: key.slice(0, dot).split('.'), word: key.slice(dot + 1) }
}

/** `embed.column->path`: all names but the last are the embed. */
function parseFilterKey(key: string): At<Field> {
  const cursor = new Cursor(key, 'tree path')
  const names = [cursor.name()]
  while (cursor.eat('.')) names.push(cursor.name())
  const path = parseJsonPath(cursor)
  cursor.expectEnd()
  return { path: names.slice(0, -1), value: { name: names.at(-1) ?? '', path } }
}

function parseNames(text: string, what: string): readonly string[] {
  const cursor = new Cursor(text, what)
  const names: string[] = []
  do {
    cursor.skipSpaces()
    names.push(cursor.name())
    cursor.skipSpaces()
  } while (cursor.eat(','))
  cursor.expectEnd()
  return names
}

/** PostgREST ignores a limit or offset that is no whole number. */
function pushNumber(list: At<number>[], path: readonly string[], value: string): void {
  if (/^-?\d{1,15}$/.test(value)) list.push({ path, value: Number(value) })
}
