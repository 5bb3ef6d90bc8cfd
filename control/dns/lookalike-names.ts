import { RESERVED_NAMES } from '../../tenancy/tenant.ts'

/**
 * How strictly digits are taken for letters. `mixed`: 0 and 1 only in a part with letters (`g00gle`, `paypa1`), so numbers
 * stay numbers (`shop-10` is not `shop-lo`). `all`: everywhere; it refuses ordinary names, such as `lol` beside `101`.
 */
export type DigitRule = 'mixed' | 'all'

/**
 * What a name looks like at a glance: two names with the same likeness can be taken for each other. `0`→`o`, `1`→`l`,
 * `rn`→`m`, `vv`→`w`, and hyphens vanish, except between two digits, where they keep numbers apart (`v1-12`, `v11-2`).
 * Names that differ in nothing but digits never share a likeness under `mixed`: numbering tenants stays possible.
 * Deliberately not folded: `cl`/`d` (`clown`, `down`), `i`/`l` and `5`/`s`: they tell ordinary words apart.
 */
export function likenessOf(name: string, digits: DigitRule = 'mixed'): string {
  let likeness = ''
  let before = ''
  for (const part of name.split('-').filter((text) => text !== '')) {
    if (/\d$/.test(before) && /^\d/.test(part)) likeness += '-'
    likeness += digits === 'all' || /[a-z]/.test(part) ? part.replaceAll('0', 'o').replaceAll('1', 'l') : part
    before = part
  }
  return likeness.replaceAll('rn', 'm').replaceAll('vv', 'w')
}

/** The first of `names` that `name` could be taken for; itself does not count. */
export function findLookalike(name: string, names: Iterable<string>, digits: DigitRule = 'mixed'): string | undefined {
  const likeness = likenessOf(name, digits)
  for (const other of names) if (other !== name && likenessOf(other, digits) === likeness) return other
  return undefined
}

const RESERVED_LIKENESSES: ReadonlyMap<string, string> = new Map(
  [...RESERVED_NAMES].map((name) => [likenessOf(name, 'all'), name]),
)

/** The reserved name (`login`, `support`, ...) that `name` could be taken for: nobody has an honest use for `supp0rt`. */
export function findReservedLookalike(name: string): string | undefined {
  return RESERVED_NAMES.has(name) ? undefined : RESERVED_LIKENESSES.get(likenessOf(name, 'all'))
}
