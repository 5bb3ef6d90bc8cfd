import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { FailedAttempts } from '../runtime/failed-attempts.ts'
import { JwksCache } from '../runtime/jwks.ts'
import { Problem } from '../runtime/problem.ts'
import { digestKey, makeKey } from '../tenancy/key.ts'
import { makeAuthenticate } from './authenticate.ts'
import type { Exchange } from './exchange.ts'
import { TenantEntry } from './tenant-entry.ts'
import { makeTenant, sealer, type TestTenant } from './testing/snapshots.ts'
import { JwtVerifier } from './verify-jwt.ts'

const clock = new ManualClock(Date.UTC(2026, 10, 23))
let keys: { kid: string; alg: string; privateKey: CryptoKey; jwk: JWK }[] = []
let fetches = 0
let isJwksDown = false
let server: Server
let jwks: JwksCache

beforeEach(async () => {
  keys = []
  fetches = 0
  isJwksDown = false
  server = createServer((_request, response) => {
    fetches++
    if (isJwksDown) response.writeHead(500).end()
    else response.end(JSON.stringify({ keys: keys.map(({ jwk, kid, alg }) => ({ ...jwk, kid, alg, use: 'sig' })) }))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  jwks = new JwksCache({ allowPrivate: true, clock })
})

afterEach(async () => {
  await jwks.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

async function addKey(kid: string, alg: string): Promise<void> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  keys.push({ kid, alg, privateKey, jwk: await exportJWK(publicKey) })
}

function sign(kid: string, payload: Record<string, unknown> = {}): Promise<string> {
  const key = keys.find((candidate) => candidate.kid === kid)
  if (key === undefined) throw new Error('no such key')
  return new SignJWT({ role: 'authenticated', sub: 'u', exp: clock.nowMs() / 1000 + 3600, ...payload })
    .setProtectedHeader({ alg: key.alg, kid })
    .sign(key.privateKey)
}

function withJwks(changes: Partial<TestTenant['snapshot']['jwt']> = {}): TestTenant {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  return makeTenant('acme', {
    jwt: { sealed_secret: null, jwks_url: url, issuer: null, audience: null, ...changes },
  })
}

/** The role of who sends these headers, or the status and code of the refusal. */
async function roleOf(
  entry: TenantEntry,
  headers: Record<string, string>,
  cache = jwks,
  failed = new FailedAttempts(0, clock),
  address = '192.0.2.1',
): Promise<string> {
  const authenticate = makeAuthenticate({ jwt: new JwtVerifier({ sealer, jwks: cache, clock }), clock, failed })
  const exchange = { tenant: entry, request: { headers }, isUpgrade: false, client: { address } } as unknown as Exchange
  try {
    await authenticate(exchange)
    return exchange.principal?.role ?? 'nobody'
  } catch (fault) {
    if (!(fault instanceof Problem)) throw fault
    return `${fault.status} ${fault.code}`
  }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

test.each(['RS256', 'ES256', 'EdDSA'])('a JWT signed with %s by a key of the JWKS is verified', async (alg) => {
  await addKey('k1', alg)
  expect(await roleOf(new TenantEntry(withJwks().snapshot), bearer(await sign('k1')))).toBe('authenticated')
})

test('the key set is fetched once for many, and again for an unknown key: so a rotated key is found', async () => {
  await addKey('k1', 'ES256')
  const entry = new TenantEntry(withJwks().snapshot)
  const tokens = await Promise.all(Array.from({ length: 10 }, (_, i) => sign('k1', { sub: String(i) })))
  await Promise.all(tokens.map((token) => roleOf(entry, bearer(token))))
  expect(fetches).toBe(1)
  await addKey('k2', 'ES256')
  const rotated = await sign('k2')
  expect(await roleOf(entry, bearer(rotated))).toBe('401 invalid_credentials')
  clock.advance(10_001)
  expect(await roleOf(entry, bearer(rotated))).toBe('authenticated')
  expect(fetches).toBe(2)
})

test('while the JWKS cannot be had the known keys go on; without any it is 503, and is not asked at once again', async () => {
  await addKey('k1', 'ES256')
  const entry = new TenantEntry(withJwks().snapshot)
  isJwksDown = true
  expect(await roleOf(entry, bearer(await sign('k1')))).toBe('503 jwks_unavailable')
  expect(await roleOf(entry, bearer(await sign('k1')))).toBe('503 jwks_unavailable')
  expect(fetches).toBe(1)
  isJwksDown = false
  clock.advance(1_001)
  expect(await roleOf(entry, bearer(await sign('k1')))).toBe('authenticated')
  isJwksDown = true
  clock.advance(11 * 60_000)
  expect(await roleOf(entry, bearer(await sign('k1', { sub: 'later' })))).toBe('authenticated')
})

test('a public key is never taken for a shared secret, and HS256 never for a key of the set', async () => {
  await addKey('k1', 'RS256')
  const tenant = withJwks()
  const entry = new TenantEntry(tenant.snapshot)
  const secret = new TextEncoder().encode(JSON.stringify(keys[0]?.jwk))
  const confused = await new SignJWT({ role: 'service_role' })
    .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
    .sign(secret)
  expect(await roleOf(entry, bearer(confused))).toBe('401 invalid_credentials')
})

test('issuer and audience are checked where the tenant has set them', async () => {
  await addKey('k1', 'ES256')
  const entry = new TenantEntry(withJwks({ issuer: 'https://issuer', audience: 'app' }).snapshot)
  expect(await roleOf(entry, bearer(await sign('k1', { iss: 'https://issuer', aud: 'app' })))).toBe('authenticated')
  expect(await roleOf(entry, bearer(await sign('k1', { iss: 'https://other', aud: 'app' })))).toMatch(/^401/)
  expect(await roleOf(entry, bearer(await sign('k1', { iss: 'https://issuer', aud: 'other' })))).toMatch(/^401/)
  expect(await roleOf(entry, bearer(await sign('k1')))).toMatch(/^401/)
})

test('a JWKS at a private address is not fetched unless that is allowed', async () => {
  await addKey('k1', 'ES256')
  const guarded = new JwksCache({ allowPrivate: false, clock })
  const entry = new TenantEntry(withJwks().snapshot)
  expect(await roleOf(entry, bearer(await sign('k1')), guarded)).toBe('503 jwks_unavailable')
  expect(fetches).toBe(0)
  await guarded.close()
})

test('a key that runs out is refused from then on, also when it was verified before', async () => {
  const tenant = makeTenant('acme')
  const key = makeKey('anon')
  tenant.snapshot.keys.push({ id: 'key_old', kind: 'anon', digest: digestKey(key), expires_at: clock.nowMs() + 1_000 })
  const entry = new TenantEntry(tenant.snapshot)
  expect(await roleOf(entry, { apikey: key })).toBe('anon')
  clock.advance(1_000)
  expect(await roleOf(entry, { apikey: key })).toBe('401 invalid_credentials')
})

test('a verified JWT is refused when its time is over', async () => {
  const tenant = makeTenant('acme')
  const entry = new TenantEntry(tenant.snapshot)
  const token = await new SignJWT({ role: 'authenticated', exp: clock.nowMs() / 1000 + 60 })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(tenant.jwtSecret))
  expect(await roleOf(entry, bearer(token))).toBe('authenticated')
  clock.advance(60_000)
  expect(await roleOf(entry, bearer(token))).toBe('401 invalid_credentials')
})

test('an address that sends wrong keys is slowed; right ones, tokens and other addresses go on', async () => {
  const tenant = makeTenant('acme')
  const entry = new TenantEntry(tenant.snapshot)
  const failed = new FailedAttempts(5, clock, async () => {})
  const from = (headers: Record<string, string>, address = '192.0.2.1') => roleOf(entry, headers, jwks, failed, address)
  expect(await from({ apikey: tenant.anonKey })).toBe('anon')
  for (let i = 0; i < 5; i++) expect(await from({ apikey: makeKey('service') })).toBe('401 invalid_credentials')
  expect(await from({ apikey: makeKey('service') })).toBe('429 too_many_failed_keys')
  expect(await from(bearer('aaaa.bbbb.cccc'))).toBe('401 invalid_credentials')
  expect(await from({ apikey: tenant.serviceKey })).toBe('service_role')
  expect(await from({ apikey: tenant.anonKey })).toBe('anon')
  expect(await from({ apikey: makeKey('anon') }, '192.0.2.2')).toBe('401 invalid_credentials')
  clock.advance(60_000)
  expect(await from({ apikey: makeKey('service') })).toBe('401 invalid_credentials')
})
