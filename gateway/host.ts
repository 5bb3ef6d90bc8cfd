/** Where a host name leads. */
export type HostTarget = { kind: 'tenant'; name: string } | { kind: 'control' } | { kind: 'unknown' }

/** A host and an optional port: no userinfo, path, comma, space or control character (RFC 9110 7.2, RFC 3986 3.2.2). */
const HOST = /^([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9.])?|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{0,5})?$/

/** The host of a `Host` field in lower case, without port and trailing dot; `undefined` when it is not a valid one. */
export function parseHost(field: string): string | undefined {
  const match = HOST.exec(field)
  if (match?.[1] === undefined) return undefined
  const host = match[1].toLowerCase()
  return host.endsWith('.') ? host.slice(0, -1) : host
}

/** Decides by host name alone: `control.<domain>`, `<name>.<domain>`, or neither. */
export function targetOfHost(host: string, domain: string): HostTarget {
  if (!host.endsWith(`.${domain}`)) return { kind: 'unknown' }
  const name = host.slice(0, -domain.length - 1)
  if (name === 'control') return { kind: 'control' }
  return name === '' || name.includes('.') ? { kind: 'unknown' } : { kind: 'tenant', name }
}
