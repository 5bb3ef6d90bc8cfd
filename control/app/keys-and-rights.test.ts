import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { makeLogger } from '../../runtime/log.ts'
import { connectRedis } from '../../runtime/redis.ts'
import { documentKey } from '../../tenancy/directory-keys.ts'
import { makeKey } from '../../tenancy/key.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World, withClient } from '../testing/world.ts'
import { ACCESS } from './authentication.ts'

let world: World
let control: TestControl
let tenantPath: string
const keys = new Map<string, string>()

beforeAll(async () => {
  world = await startWorld()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
  })
  keys.set('owner', control.ownerKey)
  for (const role of ['operator', 'billing', 'viewer']) {
    const made = await control.call('POST', '/v1/platform-keys', { body: { name: `the ${role}`, role } })
    expect(made.status).toBe(201)
    keys.set(role, made.body.key)
  }
  const tenant = await control.call('POST', '/v1/tenants', { body: { name: 'rights' } })
  tenantPath = `/v1/tenants/${tenant.body.tenant_id}`
})

afterAll(async () => {
  await control.stop()
  await world.stop()
})

test('without a good platform key everything but the public pages is 401', async () => {
  const tampered = `${control.ownerKey.slice(0, -1)}${control.ownerKey.endsWith('0') ? '1' : '0'}`
  for (const key of [null, 'nonsense', makeKey('platform'), makeKey('service'), tampered]) {
    const answer = await control.call('GET', '/v1/tenants', { key })
    expect(answer).toMatchObject({ status: 401, body: { code: 'unauthorized' } })
    expect(answer.headers.get('www-authenticate')).toContain('Bearer')
  }
  expect((await control.call('GET', '/v1/plans', { key: null })).body.data).toHaveLength(3)
  expect((await control.call('GET', '/healthz', { key: null })).status).toBe(200)
})

const CALLS = [
  { area: 'tenants', verb: 'see', method: 'GET', path: () => tenantPath },
  { area: 'tenants', verb: 'act', method: 'PATCH', path: () => tenantPath, body: {} },
  { area: 'tenantKeys', verb: 'see', method: 'GET', path: () => `${tenantPath}/keys` },
  { area: 'tenantKeys', verb: 'act', method: 'PUT', path: () => `${tenantPath}/jwt`, body: {} },
  { area: 'platformKeys', verb: 'see', method: 'GET', path: () => '/v1/platform-keys' },
  {
    area: 'platformKeys',
    verb: 'act',
    method: 'POST',
    path: () => '/v1/platform-keys',
    body: { name: 'x', role: 'viewer' },
  },
  { area: 'auditLog', verb: 'see', method: 'GET', path: () => '/v1/audit-log' },
] as const

test.each(CALLS)(
  '$method $area is open to exactly the roles that may $verb',
  async ({ area, verb, method, path, ...rest }) => {
    const access: { see: readonly string[]; act: readonly string[] } = ACCESS[area]
    for (const [role, key] of keys) {
      const { status } = await control.call(method, path(), { key, ...rest })
      if (!access.see.includes(role)) expect([role, status]).toEqual([role, 404])
      else if (verb === 'act' && !access.act.includes(role)) expect([role, status]).toEqual([role, 403])
      else expect([role, Math.floor(status / 100)]).toEqual([role, 2])
    }
  },
)

test('the configured monitoring key sees what is measured and changes nothing; isolations that are not offered are refused', async () => {
  const monitoringKey = makeKey('platform')
  const other = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: control.config.AERODB_SHARED_DATABASE_URLS,
    redisUrl: `${control.config.AERODB_REDIS_URL[0]}`,
    ownerKey: control.ownerKey,
    overrides: { AERODB_MONITORING_KEY: monitoringKey, AERODB_ISOLATIONS: ['schema'] },
  })
  try {
    expect((await other.call('GET', '/v1/tenants', { key: monitoringKey })).status).toBe(200)
    const body = { name: 'by-monitoring' }
    expect((await other.call('POST', '/v1/tenants', { key: monitoringKey, body })).status).toBe(403)
    const refused = await other.call('POST', '/v1/tenants', { body: { ...body, plan: 'pro', isolation: 'database' } })
    expect(refused).toMatchObject({ status: 501, body: { code: 'isolation_not_available' } })
  } finally {
    await other.stop()
  }
})

test('the first owner key is stored as its digest only', async () => {
  const dump = await withClient(world.databaseUrl, (client) => client.query('select * from control.platform_keys'))
  const text = JSON.stringify(dump.rows)
  expect(text).not.toContain(control.ownerKey)
  expect(text).toContain(createHash('sha256').update(control.ownerKey).digest('base64url'))
})

test('a revoked platform key opens nothing any more, and the last owner key cannot be revoked', async () => {
  const made = await control.call('POST', '/v1/platform-keys', { body: { name: 'short', role: 'viewer' } })
  expect((await control.call('GET', '/v1/tenants', { key: made.body.key })).status).toBe(200)
  expect((await control.call('DELETE', `/v1/platform-keys/${made.body.key_id}`)).status).toBe(204)
  expect((await control.call('GET', '/v1/tenants', { key: made.body.key })).status).toBe(401)
  const listed = await control.call('GET', '/v1/platform-keys')
  const owner = listed.body.data.find((key: { role: string }) => key.role === 'owner')
  expect(await control.call('DELETE', `/v1/platform-keys/${owner.key_id}`)).toMatchObject({
    status: 409,
    body: { code: 'last_owner_key' },
  })
})

test('tenant keys are shown once, rotated with an overlap and revoked', async () => {
  const made = await control.call('POST', `${tenantPath}/keys`, { body: { kind: 'service' } })
  expect(made.body.key).toMatch(/^aero_service_/)
  const rotated = await control.call('POST', `${tenantPath}/keys/${made.body.key_id}/rotate`, {
    body: { overlap_seconds: 60 },
  })
  expect(rotated.status).toBe(201)
  expect(rotated.body.key).not.toBe(made.body.key)
  const listed = await control.call('GET', `${tenantPath}/keys`)
  expect(JSON.stringify(listed.body)).not.toContain(made.body.key)
  const old = listed.body.data.find((key: { key_id: string }) => key.key_id === made.body.key_id)
  expect(old).toMatchObject({ replaced_by: rotated.body.key_id, expires_at: expect.any(String) })
  expect((await control.call('POST', `${tenantPath}/keys/${made.body.key_id}/rotate`)).status).toBe(409)
  expect((await control.call('DELETE', `${tenantPath}/keys/${rotated.body.key_id}`)).status).toBe(204)
  expect((await control.call('DELETE', `${tenantPath}/keys/${rotated.body.key_id}`)).status).toBe(404)
})

test('a key may have a rate limit of its own, which a rotation keeps and null ends; each reaches the gateways', async () => {
  const published = async (keyId: string) => {
    const redis = connectRedis({
      urls: [world.redis.url],
      connectionName: 'test',
      log: makeLogger('test', 'silent'),
      whenAway: 'wait',
    })
    try {
      const document = await redis.hget(documentKey('tenant', 'rights'), 'document')
      return JSON.parse(document ?? '{}').keys.find((key: { id: string }) => key.id === keyId)?.rate_limit
    } finally {
      redis.disconnect()
    }
  }
  const made = await control.call('POST', `${tenantPath}/keys`, { body: { kind: 'anon', rate_limit: 5 } })
  expect(made).toMatchObject({ status: 201, body: { rate_limit: 5 } })
  const path = `${tenantPath}/keys/${made.body.key_id}`
  await vi.waitFor(async () => expect(await published(made.body.key_id)).toBe(5), 5_000)
  expect(await control.call('PATCH', path, { body: { rate_limit: 7 } })).toMatchObject({
    status: 200,
    body: { key_id: made.body.key_id, rate_limit: 7 },
  })
  await vi.waitFor(async () => expect(await published(made.body.key_id)).toBe(7), 5_000)
  const rotated = await control.call('POST', `${path}/rotate`, { body: { overlap_seconds: 0 } })
  expect(rotated.body.rate_limit).toBe(7)
  const ended = await control.call('PATCH', `${tenantPath}/keys/${rotated.body.key_id}`, { body: { rate_limit: null } })
  expect(ended.body.rate_limit).toBeNull()
  await vi.waitFor(async () => expect(await published(rotated.body.key_id)).toBeNull(), 5_000)
  for (const rate_limit of [0, -1, 1.5, 1_000_001, '5'])
    expect(
      (await control.call('PATCH', `${tenantPath}/keys/${rotated.body.key_id}`, { body: { rate_limit } })).status,
    ).toBe(400)
  expect((await control.call('PATCH', `${tenantPath}/keys/key_unknown`, { body: { rate_limit: 1 } })).status).toBe(404)
})

test('a JWT secret is kept sealed and never shown; secret and JWKS URL exclude each other', async () => {
  const secret = 'a-very-secret-secret-of-thirty-two-characters'
  const set = await control.call('PUT', `${tenantPath}/jwt`, { body: { secret, issuer: 'https://issuer' } })
  expect(set.body).toEqual({ has_secret: true, jwks_url: null, issuer: 'https://issuer', audience: null })
  const dump = await withClient(world.databaseUrl, (client) => client.query('select * from control.tenants'))
  expect(JSON.stringify(dump.rows)).not.toContain(secret)
  const both = await control.call('PUT', `${tenantPath}/jwt`, { body: { secret, jwks_url: 'https://x.test/jwks' } })
  expect(both.status).toBe(400)
  expect((await control.call('PUT', `${tenantPath}/jwt`, { body: { secret: 'short' } })).status).toBe(400)
})

test('every mutation is in the audit log, which cannot be changed and notices when it was', async () => {
  const name = 'audited'
  const made = await control.call('POST', '/v1/tenants', {
    body: { name },
    headers: { 'x-request-id': 'req-audit-1', 'x-forwarded-for': '203.0.113.9' },
  })
  const log = await control.call('GET', `/v1/audit-log?target=${made.body.tenant_id}`)
  expect(log.body.data[0]).toMatchObject({
    action: 'tenant.create',
    actor: expect.stringMatching(/^platform-key:pkey_/),
    before: null,
    after: { name },
    address: '203.0.113.9',
    request_id: 'req-audit-1',
  })
  expect(JSON.stringify(log.body)).not.toContain(made.body.keys.service)
  const verify = () => control.call('GET', '/v1/audit-log/verification')
  expect((await verify()).body).toEqual({ intact: true, first_broken_seq: null })
  await withClient(world.databaseUrl, async (client) => {
    const seq = log.body.data[0].seq
    await expect(client.query('update control.audit_log set actor = $1', ['nobody'])).rejects.toThrow('append-only')
    await expect(client.query('delete from control.audit_log')).rejects.toThrow('append-only')
    await client.query('alter table control.audit_log disable trigger audit_log_append_only')
    await client.query('update control.audit_log set address = $1 where seq = $2', ['203.0.113.10', seq])
    expect((await verify()).body).toEqual({ intact: false, first_broken_seq: seq })
    await client.query('update control.audit_log set address = $1 where seq = $2', ['203.0.113.9', seq])
    await client.query('alter table control.audit_log enable trigger audit_log_append_only')
  })
  expect((await verify()).body.intact).toBe(true)
})
