import { isIP } from 'node:net'

/** A node as `Forwarded` names it: an address, or what stands for one that is not told (RFC 7239 6). */
export type ForwardedNode = {
  /** A plain IPv4 or IPv6 address, without port; empty for `unknown` and obfuscated names. */
  address: string
  /** As it stands in `for=`, without quotes and port. */
  name: string
}

/** One hop as a proxy has written it down. */
export type ForwardedElement = { for: ForwardedNode | undefined; protocol: 'http' | 'https' | undefined }

/** `name=token` or `name="quoted"`, then `;` (the same hop goes on), `,` (the next one) or the end (RFC 7239 4). */
const PAIR = /[ \t]*([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w:[\]-]+)|"((?:[^"\\]|\\[\t -~])*)")[ \t]*([;,]|$)/y

/** Proxies' chains are short; a longer field is nobody's honest one. */
const MAX_ELEMENTS = 64

/**
 * Reads a `Forwarded` field, the client's hop first. `undefined` when any of it is not well formed: a value that can be read
 * in two ways is not believed at all.
 */
export function parseForwarded(field: string): ForwardedElement[] | undefined {
  const elements: ForwardedElement[] = []
  let pairs = new Map<string, string>()
  PAIR.lastIndex = 0
  for (let at = 0; ; at = PAIR.lastIndex) {
    const match = PAIR.exec(field)
    if (match === null || (match[0].length === 0 && at > 0)) return undefined
    const [, name = '', token, quoted = '', end] = match
    const lower = name.toLowerCase()
    // Each parameter stands once in an element (RFC 7239 4).
    if (pairs.has(lower)) return undefined
    pairs.set(lower, token ?? quoted.replace(/\\(.)/g, '$1'))
    if (end === ';') continue
    const element = elementOf(pairs)
    if (element === undefined || elements.length === MAX_ELEMENTS) return undefined
    elements.push(element)
    pairs = new Map()
    if (end === '') return elements
  }
}

function elementOf(pairs: ReadonlyMap<string, string>): ForwardedElement | undefined {
  const node = pairs.get('for')
  const parsed = node === undefined ? undefined : parseNode(node)
  if (node !== undefined && parsed === undefined) return undefined
  const protocol = pairs.get('proto')?.toLowerCase()
  return { for: parsed, protocol: protocol === 'http' || protocol === 'https' ? protocol : undefined }
}

/** `192.0.2.1`, `[2001:db8::1]`, `unknown` or `_name`, each with an optional port (RFC 7239 6). */
const NODE = /^(?:(\d[\d.]*)|\[([0-9A-Fa-f:.]+)\]|(unknown|_[\w.-]{1,64}))(?::(?:\d{1,5}|_[\w.-]{1,64}))?$/i

function parseNode(node: string): ForwardedNode | undefined {
  const match = NODE.exec(node)
  if (match === null) return undefined
  const [, ipv4, ipv6, hidden] = match
  if (hidden !== undefined) return { address: '', name: hidden }
  const address = plainAddress(ipv4 ?? ipv6 ?? '')
  return isIP(address) === 0 ? undefined : { address, name: address }
}

/** `for=` of a node: an IPv6 address stands in brackets and, for its colons, in quotes (RFC 7239 6). */
export function writeForwardedFor(name: string): string {
  return name.includes(':') ? `for="[${name}]"` : `for=${name === '' ? 'unknown' : name}`
}

/** `;host=` and `;proto=`; a host with a port or brackets is quoted. `host` is a `Host` field that was found valid. */
export function writeForwardedHost(host: string, protocol: 'http' | 'https'): string {
  return host.includes(':') ? `;host="${host}";proto=${protocol}` : `;host=${host};proto=${protocol}`
}

/** IPv4 in IPv6 (`::ffff:10.0.0.1`) is IPv4. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
