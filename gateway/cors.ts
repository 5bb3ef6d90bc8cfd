import type { Exchange } from './exchange.ts'

/**
 * CORS as Supabase's gateway does it: keys travel in headers and never in cookies, so any origin may ask; a preflight needs
 * no key and gets back the headers it asks for.
 */
const EXPOSED = [
  'Content-Range',
  'Content-Location',
  'Location',
  'Preference-Applied',
  'AeroDB-Replica-Lag-Ms',
  'ETag',
  'Accept-Ranges',
  'Content-Disposition',
  // TUS 1.0
  'Tus-Resumable',
  'Tus-Version',
  'Tus-Extension',
  'Tus-Max-Size',
  'Upload-Offset',
  'Upload-Length',
  'Upload-Expires',
  'Upload-Metadata',
  'X-Request-Id',
  'RateLimit',
  'RateLimit-Policy',
  'X-RateLimit-Limit',
  'X-RateLimit-Remaining',
  'X-RateLimit-Reset',
  'Retry-After',
].join(', ')

/** Fields of every tenant response; the same list each time. */
export const CORS_FIELDS: readonly string[] = [
  'Access-Control-Allow-Origin',
  '*',
  'Access-Control-Expose-Headers',
  EXPOSED,
]

/** A header list as a browser sends it; anything else is not echoed. */
const HEADER_LIST = /^[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,2000}$/

export function isPreflight(exchange: Exchange): boolean {
  return (
    exchange.method === 'OPTIONS' &&
    exchange.request.headers.origin !== undefined &&
    exchange.request.headers['access-control-request-method'] !== undefined
  )
}

/** Fields that answer a preflight (WHATWG Fetch, CORS-preflight fetch). */
export function preflightFields(exchange: Exchange): string[] {
  const asked = exchange.request.headers['access-control-request-headers']
  return [
    'Access-Control-Allow-Methods',
    'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
    'Access-Control-Allow-Headers',
    asked !== undefined && HEADER_LIST.test(asked)
      ? asked
      : 'authorization, apikey, content-type, prefer, range, x-client-info',
    'Access-Control-Max-Age',
    '3600',
    'Vary',
    'Access-Control-Request-Headers',
  ]
}
