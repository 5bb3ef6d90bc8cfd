import { Problem } from '../../runtime/problem.ts'

/**
 * Our entity tags are `"<revision>.<rest>"`: the revision counts what callers set, the rest follows what we measure. A
 * cached copy is good only while both agree; a change is lost only when the revision differs.
 */
export function makeEtag(revision: number, rest: string): string {
  return `"${revision}.${rest}"`
}

/** True when `If-None-Match` names the current representation (RFC 9110, 13.1.2: weak comparison). */
export function matchesNone(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.trim() === '*' || parseTags(header).some((tag) => tag.replace(/^W\//, '') === etag)
}

/**
 * Enforces `If-Match` (RFC 9110, 13.1.1: strong comparison, a weak tag never matches) on the revision.
 * @throws Problem 412 `precondition_failed`
 */
export function requireMatch(header: string | undefined, etag: string): void {
  if (header === undefined || header.trim() === '*') return
  const revision = revisionOf(etag)
  if (!parseTags(header).some((tag) => revisionOf(tag) === revision))
    throw new Problem(412, 'precondition_failed', { detail: 'It was changed since you read it: read it again.' })
}

function revisionOf(tag: string): string | undefined {
  return /^"(\d+)\.[^"]*"$/.exec(tag)?.[1]
}

function parseTags(header: string): string[] {
  return header.match(/(?:W\/)?"[^"]*"/g) ?? []
}
