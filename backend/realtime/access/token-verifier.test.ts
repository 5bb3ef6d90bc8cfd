import { createLocalJWKSet, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { ManualClock } from '../../../runtime/clock.ts'
import { makeTenant, sealer, userToken } from '../test-support/realtime-harness.ts'
import { type KeySource, TokenVerifier } from './token-verifier.ts'

const NO_KEYS: KeySource = { keysOf: () => Promise.reject(new Error('There is no JWKS')) }

function verifierOf(tenant: ReturnType<typeof makeTenant>, jwks = NO_KEYS, nowMs = Date.now()) {
  const tenants = { load: async (name: string) => (name === tenant.name ? tenant.snapshot : null) }
  const verifier = new TokenVerifier({ tenants, sealer, jwks, clock: new ManualClock(nowMs) })
  return (token: string) => verifier.verify({ name: tenant.name, tenantId: tenant.id }, token)
}

test('a key says its role, a JWT its claims and when it ends', async () => {
  const tenant = makeTenant('acme')
  const verify = verifierOf(tenant)
  expect(await verify(tenant.anonKey)).toMatchObject({ role: 'anon', claims: null, keyId: 'acme-anon' })
  expect(await verify(tenant.serviceKey)).toMatchObject({ role: 'service_role' })
  const user = await verify(await userToken('ada', { expiresInS: 60 }))
  expect(user).toMatchObject({ role: 'authenticated', claims: { sub: 'ada' } })
  expect(user.expiresAtMs).toBe(Number(user.claims?.exp) * 1_000)
})

test('what is forged, expired, of another role or another tenant opens nothing', async () => {
  const tenant = makeTenant('acme')
  const verify = verifierOf(tenant)
  const [header, payload] = (await userToken('ada')).split('.')
  const refused = [
    await userToken('ada', { secret: 'another-secret-of-at-least-32-characters' }),
    await userToken('ada', { role: 'postgres' }),
    `${header}.${payload}.`,
    `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`,
    makeTenant('other').anonKey,
    // One character is another, whatever it was: one key in 62 ends with an x.
    tenant.anonKey.slice(0, -1) + (tenant.anonKey.endsWith('x') ? 'y' : 'x'),
    'x'.repeat(10_000),
    '',
  ]
  for (const token of refused) await expect(verify(token)).rejects.toThrow(/^Invalid/)
  await expect(verifierOf(tenant, NO_KEYS, Date.now() + 7_200_000)(await userToken('ada'))).rejects.toThrow(
    /expired \d+ seconds ago/,
  )
})

test('a tenant that took over the name is not the socket’s', async () => {
  const before = makeTenant('acme')
  const after = makeTenant('acme')
  const tenants = { load: async () => after.snapshot }
  const verifier = new TokenVerifier({ tenants, sealer, jwks: NO_KEYS, clock: new ManualClock(Date.now()) })
  await expect(verifier.verify({ name: 'acme', tenantId: before.id }, after.anonKey)).rejects.toThrow(/TenantNotFound/)
})

test('a JWKS verifies its own algorithms, and its public key is never taken for a secret', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }
  const jwks: KeySource = { keysOf: async () => createLocalJWKSet({ keys: [jwk] }) }
  const tenant = makeTenant('acme')
  tenant.snapshot.jwt = { sealed_secret: null, jwks_url: 'https://keys.example', issuer: 'me', audience: null }
  const verify = verifierOf(tenant, jwks)
  const sign = (issuer: string) =>
    new SignJWT({ role: 'authenticated', sub: 'ada' })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setIssuer(issuer)
      .sign(privateKey)
  expect(await verify(await sign('me'))).toMatchObject({ role: 'authenticated', expiresAtMs: Number.POSITIVE_INFINITY })
  await expect(verify(await sign('somebody else'))).rejects.toThrow(/Invalid/)
  const confused = await new SignJWT({ role: 'service_role' })
    .setProtectedHeader({ alg: 'HS256', kid: 'k' })
    .setIssuer('me')
    .sign(new TextEncoder().encode(JSON.stringify(jwk)))
  await expect(verify(confused)).rejects.toThrow(/Invalid/)
})
