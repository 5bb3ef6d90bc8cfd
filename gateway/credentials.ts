import type { IncomingMessage } from 'node:http'

/** The credentials of one request as sent; at most one of each. */
export type Credentials = {
  /** `apikey` header, or query parameter of a WebSocket handshake. */
  apiKey: string | undefined
  /** The token of `Authorization: Bearer`. */
  bearer: string | undefined
}

/** A key has 50 characters or so; a JWT with many claims has some thousands. */
const MAX_CREDENTIAL_LENGTH = 8_192

/**
 * Reads what the request shows of itself. `undefined` means that it shows something that can never be right: an
 * `Authorization` of another scheme, or one that is too long.
 */
export function readCredentials(request: IncomingMessage, query: string | undefined): Credentials | undefined {
  const { apikey, authorization } = request.headers
  let apiKey = typeof apikey === 'string' && apikey !== '' ? apikey : undefined
  if (apiKey === undefined && query !== undefined) apiKey = new URLSearchParams(query).get('apikey') ?? undefined
  let bearer: string | undefined
  if (authorization !== undefined && authorization !== '') {
    if (authorization.length > MAX_CREDENTIAL_LENGTH || !/^bearer +/i.test(authorization)) return undefined
    bearer = authorization.slice(7).trim()
  }
  return { apiKey, bearer: bearer === '' ? undefined : bearer }
}
