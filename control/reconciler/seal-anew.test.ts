import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Sealer } from '../../runtime/seal.ts'
import { documentKey } from '../../tenancy/directory-keys.ts'
import { parseServerRecord } from '../../tenancy/server-record.ts'
import { parseTenantSnapshot } from '../../tenancy/snapshot.ts'
import { eventually } from '../testing/eventually.ts'
import { startTestControl, TEST_SECRET, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World, withClient } from '../testing/world.ts'

const NEW_SECRET = 'a-new-encryption-key-of-32-characters'

let world: World
let redis: Redis
let control: TestControl

beforeAll(async () => {
  world = await startWorld()
  redis = new Redis(world.redis.url)
})

afterAll(async () => {
  redis.disconnect()
  await control?.stop()
  await world.stop()
})

const start = (keys: string[], ownerKey?: string) =>
  startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
    overrides: { AERODB_ENCRYPTION_KEYS: keys },
    ...(ownerKey === undefined ? {} : { ownerKey }),
  })

test('with a new key in front everything is sealed anew and published, and the old key can be taken away', async () => {
  control = await start([TEST_SECRET])
  const { ownerKey } = control
  const secret = randomBytes(32).toString('hex')
  const created = await control.call('POST', '/v1/tenants', { body: { name: 'sealed', plan: 'pro' } })
  const tenantId = created.body.tenant_id
  expect((await control.call('PUT', `/v1/tenants/${tenantId}/jwt`, { body: { secret } })).status).toBe(200)
  const hook = { url: 'https://example.com/hook', events: [] }
  expect((await control.call('POST', '/v1/webhooks', { body: hook })).status).toBe(201)
  await control.stop()

  control = await start([NEW_SECRET, TEST_SECRET], ownerKey)
  const onlyNew = new Sealer([NEW_SECRET])
  await eventually(async () => {
    const rows = await withClient(world.databaseUrl, (client) =>
      client.query<{ sealed: string }>(
        `select sealed_request_password as sealed from control.servers union all select sealed_ddl_password from control.servers
         union all select jwt_sealed_secret from control.tenants where jwt_sealed_secret is not null
         union all select sealed_secret from control.webhooks`,
      ),
    )
    expect(rows.rows.length).toBe(4)
    expect(rows.rows.filter(({ sealed }) => onlyNew.isStale(sealed))).toEqual([])
  })
  await eventually(async () => {
    const server = parseServerRecord((await redis.hget(documentKey('server', 'shared-0'), 'document')) ?? '')
    expect(onlyNew.open(server.request_login.sealed_password, 'server:shared-0')).toHaveLength(43)
    const tenant = parseTenantSnapshot((await redis.hget(documentKey('tenant', 'sealed'), 'document')) ?? '')
    expect(onlyNew.open(tenant.jwt.sealed_secret ?? '', `jwt:${tenantId}`)).toBe(secret)
  })
  await control.stop()

  control = await start([NEW_SECRET], ownerKey)
  expect((await control.call('POST', '/v1/tenants', { body: { name: 'after', plan: 'free' } })).status).toBe(201)
})
