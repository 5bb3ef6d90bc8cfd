import { AGGREGATES, type Aggregate, type Embed, type SelectItem } from './ast.ts'
import { Cursor } from './cursor.ts'
import { parseField } from './field.ts'

/** How deep embeds may nest. */
export const MAX_EMBED_DEPTH = 8
const CAST_CHARACTER = /[\p{L}\p{N}_ $[\]]/u

/** The `select` parameter. */
export function parseSelect(text: string): readonly SelectItem[] {
  const cursor = new Cursor(text, 'select parameter')
  const items = parseItems(cursor, 0)
  cursor.expectEnd()
  return items
}

function parseItems(cursor: Cursor, depth: number): readonly SelectItem[] {
  if (depth > MAX_EMBED_DEPTH) cursor.fail(`at most ${MAX_EMBED_DEPTH} levels of embedding`)
  const items: SelectItem[] = []
  cursor.skipSpaces()
  if (cursor.atEnd || cursor.peek() === ')') return items
  for (;;) {
    cursor.skipSpaces()
    items.push(parseItem(cursor, depth))
    cursor.skipSpaces()
    if (!cursor.eat(',')) return items
  }
}

function parseItem(cursor: Cursor, depth: number): SelectItem {
  if (cursor.eat('*')) return { kind: 'star' }
  const spread = cursor.eat('...')
  const alias = cursor.attempt(() => parseAlias(cursor))
  if (!spread && cursor.eat('count()')) {
    const cast = parseCast(cursor)
    return { kind: 'count', ...(alias === undefined ? {} : { alias }), ...(cast === undefined ? {} : { cast }) }
  }
  const embed = cursor.attempt(() => parseEmbedHead(cursor))
  if (embed !== undefined) {
    const items = parseItems(cursor, depth + 1)
    cursor.expect(')')
    return { kind: 'embed', ...embed, spread, items, ...(alias === undefined ? {} : { alias }) }
  }
  if (spread) cursor.fail('an embedded resource')
  const field = parseField(cursor)
  const cast = parseCast(cursor)
  const aggregate = parseAggregate(cursor)
  const aggregateCast = aggregate === undefined ? undefined : parseCast(cursor)
  return {
    kind: 'field',
    field,
    ...(alias === undefined ? {} : { alias }),
    ...(cast === undefined ? {} : { cast }),
    ...(aggregate === undefined ? {} : { aggregate }),
    ...(aggregateCast === undefined ? {} : { aggregateCast }),
  }
}

/** `alias:`; a double colon is a cast. */
function parseAlias(cursor: Cursor): string | undefined {
  const name = cursor.name()
  if (!cursor.eat(':') || cursor.peek() === ':') return undefined
  return name
}

/** `relation!hint!inner(`: the parenthesis tells it from a column. */
function parseEmbedHead(cursor: Cursor): Pick<Embed, 'relation' | 'hint' | 'inner'> | undefined {
  const relation = cursor.name()
  let hint: string | undefined
  let inner = false
  while (cursor.eat('!')) {
    const parameter = cursor.name()
    if (parameter === 'inner') inner = true
    else if (parameter !== 'left') hint = parameter
  }
  if (!cursor.eat('(')) return undefined
  return { relation, inner, ...(hint === undefined ? {} : { hint }) }
}

function parseCast(cursor: Cursor): string | undefined {
  if (!cursor.eat('::')) return undefined
  const type = cursor.takeWhile(CAST_CHARACTER).trim()
  if (type === '') cursor.fail('a type name')
  return type
}

function parseAggregate(cursor: Cursor): Aggregate | undefined {
  for (const aggregate of AGGREGATES) if (cursor.eat(`.${aggregate}()`)) return aggregate
  return undefined
}
