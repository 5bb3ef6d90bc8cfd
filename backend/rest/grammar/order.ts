import type { OrderTerm } from './ast.ts'
import { Cursor } from './cursor.ts'
import { parseField } from './field.ts'

/** The `order` parameter: `a.desc.nullslast,rel(b).asc`. */
export function parseOrder(text: string): readonly OrderTerm[] {
  const cursor = new Cursor(text, 'order')
  const terms: OrderTerm[] = []
  do {
    cursor.skipSpaces()
    terms.push(parseTerm(cursor))
    cursor.skipSpaces()
  } while (cursor.eat(','))
  cursor.expectEnd()
  return terms
}

function parseTerm(cursor: Cursor): OrderTerm {
  const relation = cursor.attempt(() => {
    const name = cursor.name()
    return cursor.eat('(') ? name : undefined
  })
  const field = parseField(cursor)
  if (relation !== undefined) cursor.expect(')')
  const direction = cursor.eat('.asc') ? 'asc' : cursor.eat('.desc') ? 'desc' : undefined
  const nulls = cursor.eat('.nullsfirst') ? 'first' : cursor.eat('.nullslast') ? 'last' : undefined
  return {
    field,
    ...(relation === undefined ? {} : { relation }),
    ...(direction === undefined ? {} : { direction }),
    ...(nulls === undefined ? {} : { nulls }),
  }
}
