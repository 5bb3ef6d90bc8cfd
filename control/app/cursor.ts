import { Problem } from '../../runtime/problem.ts'

/** Packs the position after which the next page starts. Opaque to callers: its form may change at any time. */
export function encodeCursor(list: string, position: string): string {
  return Buffer.from(JSON.stringify([list, position])).toString('base64url')
}

/**
 * The position in a cursor of the same list.
 * @throws Problem 400 `validation_failed` when it is not one that we gave out for this list.
 */
export function decodeCursor(list: string, cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined
  try {
    const decoded: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (Array.isArray(decoded) && decoded.length === 2 && decoded[0] === list && typeof decoded[1] === 'string')
      return decoded[1]
  } catch {
    // Not ours: refused below.
  }
  throw foreignCursor()
}

/** The answer to a cursor that this list did not give out, or whose position is none of it. */
export function foreignCursor(): Problem {
  return new Problem(400, 'validation_failed', {
    detail: 'The cursor is not one that this list gave out.',
    errors: [{ path: 'cursor', message: 'must be the next_cursor of an earlier page' }],
  })
}

/** Cuts rows that were read with `limit + 1` into a page and the cursor of the next. */
export function makePage<Row, Item>(
  list: string,
  rows: readonly Row[],
  limit: number,
  positionOf: (row: Row) => string,
  render: (row: Row) => Item,
): { data: Item[]; next_cursor: string | null } {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return {
    data: page.map(render),
    next_cursor: rows.length > limit && last !== undefined ? encodeCursor(list, positionOf(last)) : null,
  }
}
