import { lookup } from 'node:dns/promises'
import { Problem } from '../../runtime/problem.ts'
import { isPublicAddress, isPublicHost } from '../../runtime/public-address.ts'

/**
 * Checks a URL that we, or a gateway, are to call because a caller says so: http or https, without user, password or
 * fragment, and (unless `allowPrivate`) at no private address. Names are looked up here only to tell the caller early; what
 * holds is the look-up at the moment of each connection.
 * @throws Problem 400 `validation_failed` naming `path`.
 */
export async function requireOutboundUrl(text: string, path: string, allowPrivate: boolean): Promise<URL> {
  const refuse = (message: string) =>
    new Problem(400, 'validation_failed', { detail: 'The URL cannot be used.', errors: [{ path, message }] })
  if (!URL.canParse(text)) throw refuse('must be an http or https URL')
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refuse('must be an http or https URL')
  if (url.username !== '' || url.password !== '') throw refuse('must not hold a user or password')
  if (url.hash !== '') throw refuse('must not have a fragment')
  if (allowPrivate) return url
  const isPrivate = !isPublicHost(url.hostname) || (await hasPrivateAddress(url.hostname))
  if (isPrivate) throw refuse('must not lead to a private address')
  return url
}

async function hasPrivateAddress(hostname: string): Promise<boolean> {
  try {
    const addresses = await lookup(hostname.replace(/^\[|\]$/g, ''), { all: true })
    return addresses.some(({ address }) => !isPublicAddress(address))
  } catch {
    // It has no address yet.
    return false
  }
}
