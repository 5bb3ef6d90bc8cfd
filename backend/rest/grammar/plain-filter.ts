const PLAIN = /^(?:not\.)?(?:eq|neq|gt|gte|lt|lte)\./
const RESERVED = /^(?:select|columns|on_conflict)$|(?:^|\.)(?:order|limit|offset|and|or)$/

/**
 * `eq.` of `eq.5`: of a parameter that is a filter whose text after the operator is its value as it stands, so that the same
 * plan serves another value. `undefined` for every other parameter.
 */
export function plainFilterPrefix(name: string, value: string): string | undefined {
  return RESERVED.test(name) ? undefined : PLAIN.exec(value)?.[0]
}
