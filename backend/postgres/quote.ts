import { Problem } from '../../runtime/problem.ts'

/** `name` as a quoted identifier. Its characters are ours to check before; quoting makes any of them harmless. */
export function quoteIdentifier(name: string): string {
  refuseUnwritable(name)
  return `"${name.replaceAll('"', '""')}"`
}

/** `text` as a string literal, whatever `standard_conforming_strings` says. */
export function quoteLiteral(text: string): string {
  refuseUnwritable(text)
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

/**
 * The wire protocol ends SQL text at a zero byte: what came after it would be read as the protocol's own. Half a surrogate pair
 * has no UTF-8: it would be written as U+FFFD, another text than was asked for.
 */
function refuseUnwritable(text: string): void {
  if (text.includes('\0')) throw new Problem(400, 'zero_byte', { detail: 'A name or literal cannot hold a zero byte.' })
  if (!text.isWellFormed())
    throw new Problem(400, 'malformed_unicode', { detail: 'A name or literal cannot hold half a surrogate pair.' })
}
