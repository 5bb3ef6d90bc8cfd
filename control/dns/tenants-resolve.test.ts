import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World } from '../testing/world.ts'
import { PowerDnsServer, ZONE } from './testing/power-dns-server.ts'

/** The whole way: the platform API, control, a real PowerDNS, and a resolver. */
let world: World
let dns: PowerDnsServer
let control: TestControl

beforeAll(async () => {
  world = await startWorld()
  dns = await PowerDnsServer.start()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
    overrides: {
      AERODB_DOMAIN: ZONE,
      AERODB_DNS_DRIVER: 'powerdns',
      AERODB_DNS_ZONE: ZONE,
      AERODB_DNS_TARGET: [{ type: 'A', values: ['192.0.2.1'] }],
      AERODB_DNS_POWERDNS_URL: dns.apiUrl,
      AERODB_DNS_POWERDNS_API_KEY: dns.apiKey,
    },
  })
}, 120_000)

afterAll(async () => {
  await control?.stop()
  await Promise.all([dns?.stop(), world?.stop()])
})

async function resolve(name: string): Promise<string[]> {
  return dns
    .resolver()
    .resolve4(`${name}.${ZONE}`)
    .catch(() => [])
}

const resolves = (name: string, addresses: string[]) =>
  expect.poll(() => resolve(name), { timeout: 15_000 }).toEqual(addresses)

test('a name resolves while its tenant lives: made, deleted, restored, purged', async () => {
  await resolves('control', ['192.0.2.1'])
  const made = await control.call('POST', '/v1/tenants', { body: { name: 'acme' } })
  expect(made.status).toBe(201)
  const path = `/v1/tenants/${made.body.tenant_id}`
  await resolves('acme', ['192.0.2.1'])
  expect((await control.call('DELETE', path)).status).toBe(202)
  await resolves('acme', [])
  expect((await control.call('POST', `${path}/restore`)).status).toBe(202)
  await resolves('acme', ['192.0.2.1'])
  expect((await control.call('DELETE', `${path}?purge=true`)).status).toBe(202)
  await resolves('acme', [])
})

test('with DNS away a tenant is made all the same, and resolves when DNS is back', async () => {
  await dns.halt()
  const made = await control.call('POST', '/v1/tenants', { body: { name: 'patient' } })
  expect(made).toMatchObject({ status: 201, body: { status: 'active' } })
  await dns.run()
  await resolves('patient', ['192.0.2.1'])
})
