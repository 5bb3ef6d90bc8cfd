import { isIP } from 'node:net'
import { z } from 'zod'
import { domainName, flag, readConfig, url, wholeNumber } from '../../runtime/config.ts'
import { CloudflareDriver } from './cloudflare-driver.ts'
import { type DnsDriver, normaliseValue } from './dns-driver.ts'
import type { HostPolicy } from './plan-changes.ts'
import { PowerDnsDriver } from './powerdns-driver.ts'
import { Rfc2136Driver } from './rfc2136-driver.ts'

type Env = Readonly<Record<string, string | undefined>>

export const DNS_DRIVERS = ['none', 'powerdns', 'cloudflare', 'rfc2136'] as const

/** An answer with more does not fit a plain datagram any more; use a name (CNAME) with a balancer behind it. */
const MAX_ADDRESSES = 8

/** What hosts point to: addresses, or one name. */
const target = z.string().transform((text, context): HostPolicy['targets'] => {
  const parts = text.split(',').map((part) => part.trim().toLowerCase())
  const ofVersion = (version: 4 | 6) => parts.filter((part) => isIP(part) === version)
  const name = parts.find((part) => isIP(part) === 0)
  if (name === undefined && Math.max(ofVersion(4).length, ofVersion(6).length) > MAX_ADDRESSES) {
    context.addIssue(`must have at most ${MAX_ADDRESSES} addresses of a kind`)
    return z.NEVER
  }
  if (name === undefined)
    return [
      { type: 'A' as const, values: ofVersion(4) },
      { type: 'AAAA' as const, values: ofVersion(6).map((address) => normaliseValue('AAAA', address)) },
    ].flatMap(({ type, values }) => (values.length > 0 ? [{ type, values: [...new Set(values)] }] : []))
  const isOneName = parts.length === 1 && domainName.safeParse(name).success && !/^[\d.]*$/.test(name)
  if (isOneName) return [{ type: 'CNAME', values: [name] }]
  context.addIssue('must be IPv4 and IPv6 addresses, or one DNS name in lower case without a final dot')
  return z.NEVER
})

const base64Secret = z
  .string()
  .regex(/^[A-Za-z0-9+/]+={0,2}$/, 'must be in base64')
  .transform((text) => Buffer.from(text, 'base64'))
  .refine((secret) => secret.length >= 16, 'must have at least 16 bytes')

const serverAddress = z.string().transform((text, context) => {
  const parsed = URL.canParse(`tcp://${text}`) ? new URL(`tcp://${text}`) : undefined
  const isPlain = parsed !== undefined && parsed.hostname !== '' && /^[^/@?#]+$/.test(text)
  if (isPlain) return { host: parsed.hostname.replace(/^\[|\]$/g, ''), port: Number(parsed.port || 53) }
  context.addIssue('must be host:port')
  return z.NEVER
})

/**
 * The variables of DNS, for control to spread into its schema, so that all violations are reported at once. Which of them
 * are required follows from `AERODB_DNS_DRIVER`; those of other drivers are not looked at.
 */
export function dnsConfigShape(env: Env) {
  const driver = env.AERODB_DNS_DRIVER ?? ''
  const domain = env.AERODB_DOMAIN || 'localhost'
  const isOn = driver !== '' && driver !== 'none'
  /** Required for its driver, ignored for the others. */
  const only = <Output>(name: string, schema: z.ZodType<Output, string>) =>
    driver === name
      ? schema
      : z
          .string()
          .transform(() => undefined)
          .optional()
  return {
    AERODB_DNS_DRIVER: z.enum(DNS_DRIVERS, `must be one of ${DNS_DRIVERS.join(', ')}`).default('none'),
    AERODB_DNS_TARGET: isOn
      ? target
      : z
          .string()
          .transform((): HostPolicy['targets'] => [])
          .default([]),
    AERODB_DNS_ZONE: domainName
      .refine((zone) => domain === zone || domain.endsWith(`.${zone}`), 'must be AERODB_DOMAIN or a parent of it')
      .default(domain),
    AERODB_DNS_TTL_SECONDS: wholeNumber(30, 86_400).default(300),
    AERODB_DNS_OWNER: z
      .string()
      .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be 1 to 63 lower-case letters, digits and inner hyphens')
      .default('aerodb'),
    AERODB_DNS_RECONCILE_SECONDS: wholeNumber(10, 86_400).default(600),
    AERODB_DNS_POWERDNS_URL: only('powerdns', url('http:', 'https:')),
    AERODB_DNS_POWERDNS_API_KEY: only('powerdns', z.string().min(1)),
    AERODB_DNS_POWERDNS_SERVER: z.string().default('localhost'),
    AERODB_DNS_CLOUDFLARE_TOKEN: only('cloudflare', z.string().min(20, 'must be an API token')),
    AERODB_DNS_CLOUDFLARE_ZONE_ID: only('cloudflare', z.string().regex(/^[0-9a-f]{32}$/, 'must be a zone id')),
    AERODB_DNS_CLOUDFLARE_URL: url('http:', 'https:').default('https://api.cloudflare.com/client/v4'),
    AERODB_DNS_CLOUDFLARE_PROXIED: flag.default(false),
    AERODB_DNS_RFC2136_SERVER: only('rfc2136', serverAddress),
    AERODB_DNS_RFC2136_KEY_NAME: only('rfc2136', domainName),
    AERODB_DNS_RFC2136_KEY_SECRET: only('rfc2136', base64Secret),
  }
}

export type DnsConfig = z.output<z.ZodObject<ReturnType<typeof dnsConfigShape>>>

/** @throws ConfigError with every violation. */
export function readDnsConfig(env: Env = process.env): DnsConfig {
  return readConfig(z.object(dnsConfigShape(env)), env)
}

/** The driver that the configuration names, or `undefined` for `none`: then a wildcard record serves all names. */
export function makeDnsDriver(config: DnsConfig): DnsDriver | undefined {
  switch (config.AERODB_DNS_DRIVER) {
    case 'none':
      return undefined
    case 'powerdns':
      return new PowerDnsDriver({
        url: required(config.AERODB_DNS_POWERDNS_URL),
        apiKey: required(config.AERODB_DNS_POWERDNS_API_KEY),
        serverId: config.AERODB_DNS_POWERDNS_SERVER,
        zone: config.AERODB_DNS_ZONE,
      })
    case 'cloudflare':
      return new CloudflareDriver({
        url: config.AERODB_DNS_CLOUDFLARE_URL,
        token: required(config.AERODB_DNS_CLOUDFLARE_TOKEN),
        zoneId: required(config.AERODB_DNS_CLOUDFLARE_ZONE_ID),
        proxied: config.AERODB_DNS_CLOUDFLARE_PROXIED,
      })
    case 'rfc2136':
      return new Rfc2136Driver({
        server: required(config.AERODB_DNS_RFC2136_SERVER),
        zone: config.AERODB_DNS_ZONE,
        key: {
          name: required(config.AERODB_DNS_RFC2136_KEY_NAME),
          secret: required(config.AERODB_DNS_RFC2136_KEY_SECRET),
        },
      })
  }
}

/** What hosts are to look like. Through Cloudflare's proxy the time to live is its own affair, written as 1. */
export function makeHostPolicy(config: DnsConfig, domain: string, platformLabels: ReadonlySet<string>): HostPolicy {
  const isProxied = config.AERODB_DNS_DRIVER === 'cloudflare' && config.AERODB_DNS_CLOUDFLARE_PROXIED
  return {
    domain,
    owner: config.AERODB_DNS_OWNER,
    ttlSeconds: isProxied ? 1 : config.AERODB_DNS_TTL_SECONDS,
    targets: config.AERODB_DNS_TARGET,
    platformLabels,
  }
}

function required<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('unreachable: the schema requires it for this driver')
  return value
}
