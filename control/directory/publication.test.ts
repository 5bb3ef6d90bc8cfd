import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { documentKey } from '../../tenancy/directory-keys.ts'
import { parseTenantSnapshot, type TenantSnapshot } from '../../tenancy/snapshot.ts'
import { eventually } from '../testing/eventually.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World, withClient } from '../testing/world.ts'

let world: World
let control: TestControl
let redis: Redis
/** What the stand-in for metering answers for storage. */
const storage = new Map<string, { documents_bytes: number | null; files_bytes: number | null }>()
const metering = createServer((request, response) => {
  response.setHeader('content-type', 'application/json')
  if (request.headers['x-aerodb-service'] === undefined) response.statusCode = 401
  if (request.url?.startsWith('/internal/v1/storage'))
    response.end(
      JSON.stringify({
        data: [...storage].map(([tenant_id, row]) => ({ tenant_id, ...row, sampled_at: '2026-11-01T00:00:00Z' })),
        next_after: null,
      }),
    )
  else response.end(JSON.stringify({ tenant_id: 'x', month: '2026-11', resources: {}, path: request.url }))
})

beforeAll(async () => {
  world = await startWorld()
  await new Promise<void>((resolve) => metering.listen(0, '127.0.0.1', resolve))
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
    meteringUrl: `http://127.0.0.1:${(metering.address() as AddressInfo).port}`,
  })
  redis = new Redis(world.redis.url)
})

afterAll(async () => {
  redis.disconnect()
  await control.stop()
  await new Promise((resolve) => metering.close(resolve))
  await world.stop()
})

async function snapshot(name: string): Promise<TenantSnapshot> {
  return parseTenantSnapshot((await redis.hget(documentKey('tenant', name), 'document')) ?? 'null')
}

async function create(name: string, body: Record<string, unknown> = {}) {
  const created = await control.call('POST', '/v1/tenants', { body: { name, ...body } })
  expect(created.status).toBe(201)
  return created.body
}

test('a change is published when its answer arrives', async () => {
  const tenant = await create('published')
  const path = `/v1/tenants/${tenant.tenant_id}`
  const first = await snapshot('published')
  expect(first).toMatchObject({ tenant_id: tenant.tenant_id, status: 'active', plan: 'free', isolation: 'schema' })
  expect(first.placement).toMatchObject({ server: 'shared-0', schema: `t_${tenant.tenant_id.slice(4)}` })
  expect(first.keys.map((key) => key.kind).toSorted()).toEqual(['anon', 'service'])
  await control.call('PATCH', path, { body: { status: 'suspended', quotas: { requests_per_second: 3 } } })
  const second = await snapshot('published')
  expect(second).toMatchObject({ status: 'suspended', quotas: { requests_per_second: 3 } })
  expect(second.version).toBeGreaterThan(first.version)
  const key = await control.call('POST', `${path}/keys`, { body: { kind: 'anon' } })
  expect((await snapshot('published')).keys.map((entry) => entry.id)).toContain(key.body.key_id)
  await control.call('DELETE', `${path}/keys/${key.body.key_id}`)
  expect((await snapshot('published')).keys.map((entry) => entry.id)).not.toContain(key.body.key_id)
  await control.call('DELETE', path)
  expect((await snapshot('published')).status).toBe('deleting')
})

test('a new owner of a name is never covered by what happens to the old one', async () => {
  const old = await create('inherited')
  const deleted = await control.call('DELETE', `/v1/tenants/${old.tenant_id}`)
  const heir = await create('inherited')
  await eventually(async () =>
    expect((await control.call('GET', `/v1/operations/${deleted.body.operation_id}`)).body.status).toBe('succeeded'),
  )
  const purge = await control.call('DELETE', `/v1/tenants/${old.tenant_id}?purge=true`)
  await eventually(async () =>
    expect((await control.call('GET', `/v1/operations/${purge.body.operation_id}`)).body.status).toBe('succeeded'),
  )
  expect(await snapshot('inherited')).toMatchObject({ tenant_id: heir.tenant_id, status: 'active' })
})

test('when Redis has lost its data everything is published again', async () => {
  const tenant = await create('survivor')
  await redis.flushall()
  await eventually(async () => expect(await redis.get('aerodb:directory:complete')).toBe('1'))
  expect((await snapshot('survivor')).tenant_id).toBe(tenant.tenant_id)
  expect(await redis.hget(documentKey('server', 'shared-0'), 'document')).not.toBeNull()
})

test('a change whose process died before publishing it is published from the outbox', async () => {
  const tenant = await create('outboxed')
  await withClient(world.databaseUrl, async (client) => {
    await client.query('begin')
    await client.query(
      `update control.tenants set status = 'suspended', version = nextval('control.directory_version') where tenant_id = $1`,
      [tenant.tenant_id],
    )
    await client.query(
      `insert into control.outbox (kind, key, version) select 'tenant', name, version from control.tenants where tenant_id = $1`,
      [tenant.tenant_id],
    )
    await client.query('commit')
  })
  await eventually(async () => expect((await snapshot('outboxed')).status).toBe('suspended'))
  const left = await withClient(world.databaseUrl, (client) => client.query('select * from control.outbox'))
  expect(left.rows).toEqual([])
})

test('storage that metering has sampled shows in the tenant, and a used-up quota in its snapshot', async () => {
  const tenant = await create('hoarder')
  const path = `/v1/tenants/${tenant.tenant_id}`
  storage.set(tenant.tenant_id, { documents_bytes: 600_000_000, files_bytes: null })
  await eventually(async () => expect((await snapshot('hoarder')).storage_exceeded).toBe(true))
  expect((await control.call('GET', path)).body.usage).toMatchObject({
    storage_bytes: 600_000_000,
    file_storage_bytes: 0,
  })
  expect((await snapshot('hoarder')).file_storage_exceeded).toBe(false)
  await control.call('PATCH', path, { body: { quotas: { storage_bytes: 700_000_000 } } })
  await eventually(async () => expect((await snapshot('hoarder')).storage_exceeded).toBe(false))
})

test("usage is metering's answer with the tenant's quotas", async () => {
  const tenant = await create('user')
  const usage = await control.call('GET', `/v1/tenants/${tenant.tenant_id}/usage/2026-11`)
  expect(usage.body).toMatchObject({ month: '2026-11', quotas: { api_requests_per_month: 10_000 } })
  const series = await control.call('GET', `/v1/tenants/${tenant.tenant_id}/usage/2026-11/series?step=hour`)
  expect(series.body.path).toContain('/series?resource=api_requests&step=hour')
})
