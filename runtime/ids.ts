import { randomBytes } from 'node:crypto'

const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz'

/**
 * Makes an id such as `ten_01k3zq8v5w9r2m4n6p8s0t1xyz`: a prefix and 26 lower-case Crockford base-32 characters, of which
 * the first ten are the time in milliseconds (ULID), so ids sort by creation and fit a Postgres identifier.
 */
export function makeId(prefix: string, nowMs: number = Date.now()): string {
  let time = ''
  let rest = nowMs
  for (let i = 0; i < 10; i++) {
    time = CROCKFORD.charAt(rest % 32) + time
    rest = Math.floor(rest / 32)
  }
  let random = ''
  for (const byte of randomBytes(16)) random += CROCKFORD.charAt(byte & 31)
  return `${prefix}_${time}${random}`
}

/** True when `value` has the shape that `makeId(prefix)` gives. */
export function isId(prefix: string, value: string): boolean {
  return (
    value.length === prefix.length + 27 &&
    value.startsWith(`${prefix}_`) &&
    /^[0-9a-hjkmnp-tv-z]{26}$/.test(value.slice(prefix.length + 1))
  )
}
