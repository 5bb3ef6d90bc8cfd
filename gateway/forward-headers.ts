import type { IncomingMessage } from 'node:http'
import { INTERNAL_HEADER_PREFIX } from '../tenancy/request-context.ts'
import type { Exchange } from './exchange.ts'

/** Fields that belong to one connection (RFC 9110 7.6.1) or that each hop sets itself; never passed on. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** What of a request's fields is ours to set, or is not for the upstream. */
const NOT_FROM_CLIENTS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'host',
  'expect',
  'content-length',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-server',
  'x-real-ip',
  'x-request-id',
  'via',
])

const NOT_FROM_UPSTREAMS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'x-request-id',
  'ratelimit',
  'ratelimit-policy',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'access-control-allow-credentials',
])

/** Lower-case forms of field names seen; field names repeat endlessly. */
const lowerCased = new Map<string, string>()

/** `name` in lower case, remembered (bounded). */
export function lowerCase(name: string): string {
  let lower = lowerCased.get(name)
  if (lower === undefined) {
    lower = name.toLowerCase()
    if (lowerCased.size >= 1_000) lowerCased.clear()
    lowerCased.set(name, lower)
  }
  return lower
}

/** The field names that `Connection` lists: they belong to this connection too (RFC 9110 7.6.1). */
function namedByConnection(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined
  return new Set(connection.split(',').map((name) => name.trim().toLowerCase()))
}

/**
 * The client's fields that go on to the upstream, as a flat list to which the caller adds its own. `withCredentials` keeps
 * `apikey` and `authorization` (the platform API; a registered backend's own JWTs).
 */
export function fieldsForUpstream(request: IncomingMessage, withCredentials: boolean): string[] {
  const raw = request.rawHeaders
  const named = namedByConnection(request.headers.connection)
  const fields: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const original = raw[i] ?? ''
    const name = lowerCase(original)
    // HTTP/2's pseudo-fields are no fields.
    if (name.charCodeAt(0) === 0x3a || NOT_FROM_CLIENTS.has(name) || name.startsWith(INTERNAL_HEADER_PREFIX)) continue
    if (!withCredentials && (name === 'apikey' || name === 'authorization')) continue
    if (named?.has(name)) continue
    fields.push(original, raw[i + 1] ?? '')
  }
  return fields
}

/** Adds who asks, by which host and protocol (RFC 7239, and the older fields that say the same), and the request's id. */
export function addForwardingFields(
  into: string[],
  { requestId, client, hostHeader }: Pick<Exchange, 'requestId' | 'client' | 'hostHeader'>,
): void {
  into.push(
    'x-request-id',
    requestId,
    'forwarded',
    client.forwarded(hostHeader),
    'x-forwarded-for',
    client.forwardedFor,
    'x-forwarded-proto',
    client.protocol,
    'x-forwarded-host',
    hostHeader,
  )
}

/** The upstream's fields that go on to the client. Internal fields never leave. */
export function appendFieldsForClient(into: string[], raw: readonly string[]): void {
  let named: ReadonlySet<string> | undefined
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (lowerCase(raw[i] ?? '') === 'connection') named = namedByConnection(raw[i + 1]?.toLowerCase())
  }
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const original = raw[i] ?? ''
    const name = lowerCase(original)
    if (NOT_FROM_UPSTREAMS.has(name) || name.startsWith(INTERNAL_HEADER_PREFIX) || named?.has(name)) continue
    into.push(original, raw[i + 1] ?? '')
  }
}
