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

/** Hosts whose target is remembered; they repeat endlessly. */
const MAX_REMEMBERED = 20_000

/** `parseHost` and `targetOfHost` with a memory. */
export class HostTargets {
  readonly #domain: string
  readonly #byField = new Map<string, Readonly<{ host: string; target: HostTarget }>>()

  constructor(domain: string) {
    this.#domain = domain
  }

  /** The host of a `Host` field and where it leads; the host is empty when the field is not valid. */
  of(field: string): Readonly<{ host: string; target: HostTarget }> {
    let known = this.#byField.get(field)
    if (known === undefined) {
      const host = parseHost(field) ?? ''
      known = { host, target: targetOfHost(host, this.#domain) }
      if (this.#byField.size >= MAX_REMEMBERED) this.#byField.clear()
      if (field.length <= 256) this.#byField.set(field, known)
    }
    return known
  }
}
