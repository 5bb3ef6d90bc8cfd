/**
 * The mark beside each host that says whose its records are, as external-dns has one: a TXT record at
 * `_aerodb.<host>`. It has a name of its own because a CNAME suffers no record beside it (RFC 1034, section 3.6.2), and
 * the underscore keeps it out of the way of tenants' names (RFC 8552).
 */
const MARK_LABEL = '_aerodb'

export type Mark = { owner: string; tenantId: string }

/** Where the mark of `host` (a full name) lies. */
export function markName(host: string): string {
  return `${MARK_LABEL}.${host}`
}

/** The host that a mark at `name` speaks of, or `undefined` when this is no mark's name under `domain`. */
export function hostOfMark(name: string, domain: string): string | undefined {
  const prefix = `${MARK_LABEL}.`
  if (!name.startsWith(prefix) || !name.endsWith(`.${domain}`)) return undefined
  const host = name.slice(prefix.length)
  const label = host.slice(0, -domain.length - 1)
  return label === '' || label.includes('.') ? undefined : host
}

export function formatMark(mark: Mark): string {
  return `heritage=aerodb,aerodb/owner=${mark.owner},aerodb/tenant=${mark.tenantId}`
}

/** Reads a mark; anything that is not exactly one is `undefined`. */
export function parseMark(text: string): Mark | undefined {
  const match = /^heritage=aerodb,aerodb\/owner=([a-z0-9-]{1,63}),aerodb\/tenant=([a-z0-9_-]{1,64})$/.exec(text)
  const [, owner, tenantId] = match ?? []
  return owner === undefined || tenantId === undefined ? undefined : { owner, tenantId }
}
