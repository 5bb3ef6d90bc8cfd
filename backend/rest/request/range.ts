import { RestError } from '../rest-error.ts'

/** Rows `offset` up to, at most, `limit` of them. */
export type RowRange = { offset: number; limit: number | undefined }

/** Reads a `Range` header in PostgREST's form `0-9` or `10-`; anything else is ignored. @throws RestError PGRST103. */
export function parseRange(header: string | undefined): RowRange | undefined {
  const match = /^(?:items=)?(\d{1,15})-(\d{0,15})$/.exec(header?.trim() ?? '')
  if (match === null) return undefined
  const first = Number(match[1])
  if (match[2] === '') return { offset: first, limit: undefined }
  const last = Number(match[2])
  if (last < first)
    throw unsatisfiable('The lower boundary must be lower than or equal to the upper boundary in the Range header.')
  return { offset: first, limit: last - first + 1 }
}

/** The rows that both ranges hold. */
export function intersect(a: RowRange, b: RowRange): RowRange {
  const end = (range: RowRange) => (range.limit === undefined ? Number.POSITIVE_INFINITY : range.offset + range.limit)
  const offset = Math.max(a.offset, b.offset)
  const until = Math.min(end(a), end(b))
  return { offset, limit: until === Number.POSITIVE_INFINITY ? undefined : Math.max(0, until - offset) }
}

/** RFC 9110 15.5.17: `contentRange` tells how many rows there are, where that is known. */
export function unsatisfiable(details: string, contentRange?: string): RestError {
  return new RestError(416, 'PGRST103', 'Requested range not satisfiable', {
    details,
    ...(contentRange === undefined ? {} : { headers: { 'Content-Range': contentRange } }),
  })
}
