import type { Field, JsonStep } from './ast.ts'
import type { Cursor } from './cursor.ts'

const MAX_JSON_STEPS = 50
const DIGIT = /[0-9]/
const JSON_KEY_STOPS = '(-:.,>)'

/** `name->key->>0` */
export function parseField(cursor: Cursor): Field {
  return { name: cursor.name(), path: parseJsonPath(cursor) }
}

/** Zero or more `->` / `->>` steps. */
export function parseJsonPath(cursor: Cursor): readonly JsonStep[] {
  const steps: JsonStep[] = []
  while (cursor.startsWith('->')) {
    cursor.expect('->')
    const asText = cursor.eat('>')
    const index = cursor.attempt(() => jsonIndex(cursor))
    steps.push(index === undefined ? { asText, key: jsonKey(cursor) } : { asText, index })
    if (steps.length > MAX_JSON_STEPS) cursor.fail('a shorter path')
  }
  return steps
}

function jsonIndex(cursor: Cursor): number | undefined {
  const sign = cursor.eat('-') ? -1 : 1
  const digits = cursor.takeWhile(DIGIT)
  const ends = cursor.atEnd || cursor.startsWith('->') || cursor.startsWith('::') || '.,)'.includes(cursor.peek())
  return digits === '' || digits.length > 9 || !ends ? undefined : sign * Number(digits)
}

function jsonKey(cursor: Cursor): string {
  const quoted = cursor.quoted()
  if (quoted !== undefined) return quoted
  let key = ''
  for (;;) {
    const part = cursor.takeUntil(JSON_KEY_STOPS)
    if (part === '') cursor.fail('any non reserved character different from: .,>()')
    key += part
    if (cursor.peek() !== '-' || cursor.startsWith('->')) return key
    cursor.expect('-')
    key += '-'
  }
}
