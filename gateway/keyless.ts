import type { Exchange } from './exchange.ts'

/** `sign` here is the use of a signed URL; making one is a POST and takes a key. */
const PUBLIC_OR_SIGNED = /^\/storage\/v1\/(?:object\/(?:public|info\/public|sign)|render\/image\/(?:public|sign))\//
const SIGNED_UPLOAD = /^\/storage\/v1\/object\/upload\/sign\//
const SIGNED_RESUMABLE = /^\/storage\/v1\/upload\/resumable\/sign(?:\/|$)/

/**
 * True for what Supabase's gateway lets through without a key, as role `anon`: public files, and signed URLs, whose token the
 * storage API verifies.
 */
export function needsNoKey({ method, path, request }: Exchange): boolean {
  if (!path.startsWith('/storage/v1/')) return false
  if ((method === 'GET' || method === 'HEAD') && PUBLIC_OR_SIGNED.test(path)) return true
  if (method === 'PUT' && SIGNED_UPLOAD.test(path)) return true
  return SIGNED_RESUMABLE.test(path) && request.headers['x-signature'] !== undefined
}
