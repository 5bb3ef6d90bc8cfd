import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { RedisServer } from '../../runtime/redis-server.ts'
import { createDatabase } from '../../test/support/databases.ts'
import { startRedis } from '../../test/support/redis.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'

let redis: RedisServer
let metadata: Awaited<ReturnType<typeof createDatabase>>
let shared: Awaited<ReturnType<typeof createDatabase>>
let control: TestControl

beforeAll(async () => {
  ;[redis, metadata, shared] = await Promise.all([startRedis(), createDatabase(), createDatabase()])
  control = await startTestControl({ databaseUrl: metadata.url, sharedUrls: [shared.url], redisUrl: redis.url })
})

afterAll(async () => {
  await control.stop()
  await Promise.all([redis.stop(), metadata.drop(), shared.drop()])
})

test('a tenant is created, read, listed, changed, deleted, restored and purged', async () => {
  const created = await control.call('POST', '/v1/tenants', { body: { name: 'acme' } })
  expect(created).toMatchObject({ status: 201, body: { name: 'acme', plan: 'free', status: 'active' } })
  expect(created.body.keys.anon).toMatch(/^aero_anon_/)
  const path = `/v1/tenants/${created.body.tenant_id}`
  const read = await control.call('GET', path)
  const etag = read.headers.get('etag') ?? ''
  expect((await control.call('GET', path, { headers: { 'if-none-match': etag } })).status).toBe(304)
  const patched = await control.call('PATCH', path, {
    body: { plan: 'pro', quotas: { requests_per_second: 5 } },
    headers: { 'if-match': etag },
  })
  expect(patched.body.quotas).toMatchObject({ requests_per_second: 5, storage_bytes: 100_000_000_000 })
  expect(
    (await control.call('PATCH', path, { body: { status: 'suspended' }, headers: { 'if-match': etag } })).status,
  ).toBe(412)
  expect((await control.call('GET', '/v1/tenants?name=cm')).body.data).toHaveLength(1)
  const deleted = await control.call('DELETE', path)
  expect(deleted).toMatchObject({ status: 202, body: { kind: 'delete' } })
  await vi.waitFor(async () =>
    expect((await control.call('GET', `/v1/operations/${deleted.body.operation_id}`)).body.status).toBe('succeeded'),
  )
  expect((await control.call('GET', path)).body.status).toBe('deleted')
  const restored = await control.call('POST', `${path}/restore`)
  expect(restored).toMatchObject({ status: 202, body: { status: 'succeeded' } })
  expect((await control.call('GET', path)).body.status).toBe('active')
  const purged = await control.call('DELETE', `${path}?purge=true`)
  await vi.waitFor(async () =>
    expect((await control.call('GET', `/v1/operations/${purged.body.operation_id}`)).body.status).toBe('succeeded'),
  )
  expect((await control.call('GET', path)).status).toBe(404)
  expect((await control.call('GET', '/v1/audit-log/verification')).body).toEqual({
    intact: true,
    first_broken_seq: null,
  })
  const times: number[] = []
  for (let i = 0; i < 60; i++) {
    const t = performance.now()
    await control.call('POST', '/v1/tenants', { body: { name: `t-${i}-x` } })
    times.push(performance.now() - t)
  }
  times.sort((a, b) => a - b)
  const openapi = await control.call('GET', '/v1/openapi.json', { key: null })
})
