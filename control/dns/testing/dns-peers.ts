import { CloudflareDriver } from '../cloudflare-driver.ts'
import type { DnsDriver } from '../dns-driver.ts'
import { quoteText, unquoteText } from '../dns-driver.ts'
import { PowerDnsDriver } from '../powerdns-driver.ts'
import { Rfc2136Driver } from '../rfc2136-driver.ts'
import { CloudflareStandIn } from './cloudflare-stand-in.ts'
import { PowerDnsServer, TSIG_KEY, ZONE } from './power-dns-server.ts'

/** A driver with what stands behind it, for the conformance suite. */
export type DnsPeer = {
  driver: DnsDriver
  /** What the world sees: the values of a name and type, sorted; empty when there are none. */
  resolve(name: string, type: 'A' | 'AAAA' | 'CNAME' | 'TXT' | 'MX'): Promise<string[]>
  /** Somebody else writes to the zone. TXT without quotes; no values remove the set. */
  put(name: string, type: string, ttlSeconds: number, values: readonly string[]): Promise<void>
  empty(): Promise<void>
  /** The provider goes away, and comes back. */
  halt(): Promise<void>
  resume(): Promise<void>
  stop(): Promise<void>
}

export async function powerDnsPeer(): Promise<DnsPeer> {
  const server = await PowerDnsServer.start()
  const { apiUrl: url, apiKey } = server
  return { driver: new PowerDnsDriver({ url, apiKey, serverId: 'localhost', zone: ZONE }), ...servedBy(server) }
}

/** The same PowerDNS, spoken to by dynamic updates, queries and zone transfers only. */
export async function rfc2136Peer(): Promise<DnsPeer> {
  const server = await PowerDnsServer.start()
  const address = { host: '127.0.0.1', port: server.dnsPort }
  return { driver: new Rfc2136Driver({ server: address, zone: ZONE, key: TSIG_KEY }), ...servedBy(server) }
}

export async function cloudflarePeer(): Promise<DnsPeer> {
  const standIn = new CloudflareStandIn()
  await standIn.start()
  const { url, token, zoneId } = standIn
  const written = (type: string, values: readonly string[]) =>
    type === 'TXT' ? values.map((value) => quoteText(value)) : values
  return {
    driver: new CloudflareDriver({ url, token, zoneId, proxied: false }),
    resolve: async (name, type) =>
      standIn
        .resolve(name, type)
        .map((value) => unquoteText(value).replace(/\.$/, ''))
        .toSorted(),
    put: async (name, type, ttl, values) => standIn.put(name, type, ttl, written(type, values)),
    empty: async () => standIn.empty(),
    halt: async () => standIn.limitNext(Number.POSITIVE_INFINITY),
    resume: async () => standIn.limitNext(0),
    stop: () => standIn.stop(),
  }
}

function servedBy(server: PowerDnsServer): Omit<DnsPeer, 'driver'> {
  return {
    resolve: async (name, type) => {
      const resolver = server.resolver()
      try {
        if (type === 'TXT') return (await resolver.resolveTxt(name)).map((parts) => parts.join('')).toSorted()
        if (type === 'MX')
          return (await resolver.resolveMx(name)).map(({ exchange, priority }) => `${priority} ${exchange}`)
        return ((await resolver.resolve(name, type)) as string[]).toSorted()
      } catch (fault) {
        if (['ENODATA', 'ENOTFOUND'].includes((fault as NodeJS.ErrnoException).code ?? '')) return []
        throw fault
      }
    },
    put: (name, type, ttl, values) =>
      server.put(
        name,
        type,
        ttl,
        values.map((value) => (type === 'TXT' ? quoteText(value) : type === 'CNAME' ? `${value}.` : value)),
      ),
    empty: async () => server.empty(),
    halt: () => server.halt(),
    resume: () => server.run(),
    stop: () => server.stop(),
  }
}
