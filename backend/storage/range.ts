/** A part of an object: first and last byte, both included, as in the Range field. */
export type ByteRange = { first: number; last: number }

/**
 * Reads a Range field (RFC 9110, section 14.2) for a representation of `sizeBytes`. `undefined` means: answer with the whole
 * (no field, another unit, malformed, or several ranges, which a server may ignore); `'unsatisfiable'` means 416.
 */
export function parseRange(field: string | undefined, sizeBytes: number): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(field ?? '')
  if (match === null) return undefined
  const [, from = '', to = ''] = match
  if (from === '' && to === '') return undefined
  if (from === '') {
    const length = Math.min(Number(to), sizeBytes)
    return length === 0 ? 'unsatisfiable' : { first: sizeBytes - length, last: sizeBytes - 1 }
  }
  const first = Number(from)
  if (to !== '' && Number(to) < first) return undefined
  if (first >= sizeBytes) return 'unsatisfiable'
  return { first, last: to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1) }
}
