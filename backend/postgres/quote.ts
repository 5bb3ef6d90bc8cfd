import { Problem } from '../../runtime/problem.ts'

/** `name` as a quoted identifier. Its characters are ours to check before; quoting makes any of them harmless. */
export function quoteIdentifier(name: string): string {
  refuseZeroByte(name)
  return `"${name.replaceAll('"', '""')}"`
}

/** `text` as a string literal, whatever `standard_conforming_strings` says. */
export function quoteLiteral(text: string): string {
  refuseZeroByte(text)
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

/** The wire protocol ends SQL text at a zero byte: what came after it would be read as the protocol's own. */
function refuseZeroByte(text: string): void {
  if (text.includes('\0')) throw new Problem(400, 'zero_byte', { detail: 'A name or literal cannot hold a zero byte.' })
}
