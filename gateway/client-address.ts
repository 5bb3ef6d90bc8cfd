import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

export type ClientOrigin = {
  /** The address that asked, as far as we can trust anybody about it. */
  address: string
  /** `X-Forwarded-For` for the upstream: the part of the chain that is to be believed. */
  forwardedFor: string
  protocol: 'http' | 'https'
}

/** Tells who asks, through the proxies that are trusted and no others. */
export class ClientOrigins {
  readonly #trusted = new BlockList()
  readonly #isAnyTrusted: boolean

  /** @param trusted addresses and CIDR ranges of the proxies in front of us. */
  constructor(trusted: readonly string[]) {
    this.#isAnyTrusted = trusted.length > 0
    for (const entry of trusted) {
      const [address = '', prefix] = entry.split('/')
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
      if (prefix === undefined) this.#trusted.addAddress(address, family)
      else this.#trusted.addSubnet(address, Number(prefix), family)
    }
  }

  /** `X-Forwarded-For` and `-Proto` are read from the right, for as long as a trusted proxy has written them. */
  of(request: IncomingMessage): ClientOrigin {
    const peer = plainAddress(request.socket.remoteAddress ?? '')
    const ownProtocol = 'encrypted' in request.socket ? 'https' : 'http'
    if (!this.#isAnyTrusted || !this.#isTrusted(peer))
      return { address: peer, forwardedFor: peer, protocol: ownProtocol }
    const chain = (request.headers['x-forwarded-for'] ?? '').toString().split(',')
    const believed = [peer]
    let address = peer
    while (chain.length > 0 && this.#isTrusted(address)) {
      const next = plainAddress((chain.pop() ?? '').trim())
      if (isIP(next) === 0) break
      believed.unshift(next)
      address = next
    }
    const protocol = request.headers['x-forwarded-proto']
    return {
      address,
      forwardedFor: believed.join(', '),
      protocol: protocol === 'https' || protocol === 'http' ? protocol : ownProtocol,
    }
  }

  #isTrusted(address: string): boolean {
    const family = isIP(address)
    return family !== 0 && this.#trusted.check(address, family === 6 ? 'ipv6' : 'ipv4')
  }
}

/** IPv4 in IPv6 (`::ffff:10.0.0.1`) is IPv4. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}

/** True for an address or a CIDR range. */
export function isAddressRange(entry: string): boolean {
  const match = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(entry)
  const family = isIP(match?.[1] ?? '')
  return family !== 0 && Number(match?.[2] ?? 0) <= (family === 6 ? 128 : 32)
}
