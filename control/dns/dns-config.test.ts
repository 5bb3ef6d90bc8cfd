import { expect, test } from 'vitest'
import { ConfigError } from '../../runtime/config.ts'
import { makeDnsDriver, makeHostPolicy, readDnsConfig } from './dns-config.ts'

const secret = Buffer.alloc(32, 1).toString('base64')
const settings = {
  powerdns: { AERODB_DNS_POWERDNS_URL: 'http://127.0.0.1:8081', AERODB_DNS_POWERDNS_API_KEY: 'key' },
  cloudflare: { AERODB_DNS_CLOUDFLARE_TOKEN: 'x'.repeat(40), AERODB_DNS_CLOUDFLARE_ZONE_ID: '0'.repeat(32) },
  rfc2136: {
    AERODB_DNS_RFC2136_SERVER: '[::1]:5353',
    AERODB_DNS_RFC2136_KEY_NAME: 'a-key',
    AERODB_DNS_RFC2136_KEY_SECRET: secret,
  },
}
const common = { AERODB_DOMAIN: 'db.example.com', AERODB_DNS_ZONE: 'example.com', AERODB_DNS_TARGET: '192.0.2.1' }

function violationsOf(env: Record<string, string>): string[] {
  try {
    readDnsConfig(env)
    return []
  } catch (fault) {
    return [...(fault as ConfigError).violations].map((line) => line.split(':')[0] ?? '')
  }
}

test('nothing is required without a driver', () => {
  const config = readDnsConfig({})
  expect(makeDnsDriver(config)).toBeUndefined()
  expect(config.AERODB_DNS_ZONE).toBe('localhost')
})

test.each(Object.entries(settings))(
  '%s is made from its settings, and asks for all that is missing at once',
  (driver, own) => {
    const env = { AERODB_DNS_DRIVER: driver, ...common, ...own }
    expect(makeDnsDriver(readDnsConfig(env))?.name).toBe(driver)
    expect(violationsOf({ AERODB_DNS_DRIVER: driver }).toSorted()).toEqual(
      ['AERODB_DNS_TARGET', ...Object.keys(own)].toSorted(),
    )
  },
)

test('all violations are reported at once, none with its value', () => {
  const env = {
    ...common,
    AERODB_DNS_DRIVER: 'rfc2136',
    AERODB_DNS_ZONE: 'other.example',
    AERODB_DNS_TARGET: 'gateway.example.net,192.0.2.1',
    AERODB_DNS_TTL_SECONDS: '5',
    AERODB_DNS_OWNER: 'Not One',
    AERODB_DNS_RFC2136_SERVER: 'a/b',
    AERODB_DNS_RFC2136_KEY_SECRET: 'dG9vc2hvcnQ=',
  }
  expect(violationsOf(env)).toHaveLength(7)
  expect(() => readDnsConfig(env)).toThrow(ConfigError)
  expect(() => readDnsConfig(env)).not.toThrow(/dG9vc2hvcnQ/)
})

test.each([
  [
    '192.0.2.1, 2001:DB8::0:1 ,192.0.2.1',
    [
      { type: 'A', values: ['192.0.2.1'] },
      { type: 'AAAA', values: ['2001:db8::1'] },
    ],
  ],
  ['gateway.example.net', [{ type: 'CNAME', values: ['gateway.example.net'] }]],
])('the target %s is understood', (text, targets) => {
  const config = readDnsConfig({
    AERODB_DNS_DRIVER: 'powerdns',
    ...common,
    ...settings.powerdns,
    AERODB_DNS_TARGET: text,
  })
  expect(makeHostPolicy(config, 'db.example.com', new Set()).targets).toEqual(targets)
})

test.each([
  '300.1.1.1',
  'a.example,b.example',
  'gateway.example.',
  Array(9)
    .fill('x')
    .map((_, i) => `192.0.2.${i}`)
    .join(),
])('the target %s is refused', (text) => {
  expect(
    violationsOf({ AERODB_DNS_DRIVER: 'powerdns', ...common, ...settings.powerdns, AERODB_DNS_TARGET: text }),
  ).toEqual(['AERODB_DNS_TARGET'])
})

test('behind Cloudflare’s proxy the time to live is automatic', () => {
  const env = { AERODB_DNS_DRIVER: 'cloudflare', ...common, ...settings.cloudflare, AERODB_DNS_CLOUDFLARE_PROXIED: '1' }
  expect(makeHostPolicy(readDnsConfig(env), 'db.example.com', new Set()).ttlSeconds).toBe(1)
})
