import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { parseForwarded, plainAddress, writeForwardedFor, writeForwardedHost } from './forwarded.ts'

/** Which field of a trusted proxy's is read: `any` takes `X-Forwarded-For` where there is one, else `Forwarded`. */
export const FORWARDED_SOURCES = ['any', 'x-forwarded', 'forwarded'] as const
export type ForwardedSource = (typeof FORWARDED_SOURCES)[number]

/** Who asks, as far as we can trust anybody about it. */
export class ClientOrigin {
  /** The address that asked. */
  readonly address: string
  /** `X-Forwarded-For` for the upstream: the part of the chain that is to be believed. */
  readonly forwardedFor: string
  readonly protocol: 'http' | 'https'
  readonly #first: string
  readonly #rest: string
  #host = ''
  #forwarded = ''

  /** @param nodes who asked whom, the client first: addresses, and names of those that are not told. */
  constructor(address: string, nodes: readonly string[], protocol: 'http' | 'https') {
    this.address = address
    this.forwardedFor = nodes.length === 1 ? (nodes[0] ?? '') : nodes.filter((node) => isIP(node) !== 0).join(', ')
    this.protocol = protocol
    this.#first = writeForwardedFor(nodes[0] ?? '')
    let rest = ''
    for (let i = 1; i < nodes.length; i++) rest += `, ${writeForwardedFor(nodes[i] ?? '')}`
    this.#rest = rest
  }

  /**
   * `Forwarded` for the upstream (RFC 7239): the same chain, with the host and protocol that the client asked by in its first
   * element. Kept with its host: a connection mostly asks the same one.
   */
  forwarded(host: string): string {
    if (host !== this.#host) {
      this.#host = host
      this.#forwarded = this.#first + writeForwardedHost(host, this.protocol) + this.#rest
    }
    return this.#forwarded
  }
}

/** On a socket: its peer is who asks, for all that comes over it. */
const PEER = Symbol('peer')
type Socket = IncomingMessage['socket'] & { [PEER]?: ClientOrigin }

/** Tells who asks, through the proxies that are trusted and no others. */
export class ClientOrigins {
  readonly #trusted = new BlockList()
  readonly #isAnyTrusted: boolean
  readonly #source: ForwardedSource

  /**
   * @param trusted addresses and CIDR ranges of the proxies in front of us.
   * @param source the field that they write.
   */
  constructor(trusted: readonly string[], source: ForwardedSource = 'any') {
    this.#isAnyTrusted = trusted.length > 0
    this.#source = source
    for (const entry of trusted) {
      const [address = '', prefix] = entry.split('/')
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
      if (prefix === undefined) this.#trusted.addAddress(address, family)
      else this.#trusted.addSubnet(address, Number(prefix), family)
    }
  }

  /** The peer itself; where that is a trusted proxy, whom it names, read from the right for as long as a trusted one has written. */
  of(request: IncomingMessage): ClientOrigin {
    const socket: Socket = request.socket
    let peer = socket[PEER]
    if (peer === undefined) {
      const address = plainAddress(socket.remoteAddress ?? '')
      peer = new ClientOrigin(address, [address], 'encrypted' in socket ? 'https' : 'http')
      socket[PEER] = peer
    }
    return this.#isAnyTrusted && this.#isTrusted(peer.address) ? this.#throughProxy(request, peer) : peer
  }

  #throughProxy({ headers }: IncomingMessage, peer: ClientOrigin): ClientOrigin {
    const legacy = this.#source === 'forwarded' ? undefined : headers['x-forwarded-for']
    const standard = this.#source === 'x-forwarded' ? undefined : headers.forwarded
    if (legacy === undefined && standard !== undefined) return this.#byForwarded(standard, peer)
    const nodes = [peer.address]
    let address = peer.address
    const chain = (legacy ?? '').toString().split(',')
    while (chain.length > 0 && this.#isTrusted(address)) {
      const next = plainAddress((chain.pop() ?? '').trim())
      if (isIP(next) === 0) break
      nodes.unshift(next)
      address = next
    }
    const protocol = this.#source === 'forwarded' ? undefined : headers['x-forwarded-proto']
    return new ClientOrigin(address, nodes, protocol === 'https' || protocol === 'http' ? protocol : peer.protocol)
  }

  #byForwarded(field: string, peer: ClientOrigin): ClientOrigin {
    const elements = parseForwarded(field) ?? []
    const nodes = [peer.address]
    let { address, protocol } = peer
    while (elements.length > 0 && this.#isTrusted(address)) {
      const element = elements.pop()
      if (element?.for === undefined) break
      nodes.unshift(element.for.name)
      protocol = element.protocol ?? protocol
      // Behind a name that tells no address nobody can be trusted any further.
      if (element.for.address === '') break
      address = element.for.address
    }
    return new ClientOrigin(address, nodes, protocol)
  }

  #isTrusted(address: string): boolean {
    const family = isIP(address)
    return family !== 0 && this.#trusted.check(address, family === 6 ? 'ipv6' : 'ipv4')
  }
}

/** True for an address or a CIDR range. */
export function isAddressRange(entry: string): boolean {
  const match = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(entry)
  const family = isIP(match?.[1] ?? '')
  return family !== 0 && Number(match?.[2] ?? 0) <= (family === 6 ? 128 : 32)
}
