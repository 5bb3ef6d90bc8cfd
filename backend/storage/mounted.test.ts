import { afterAll, beforeAll, expect, test } from 'vitest'
import { SERVICE_TOKEN_HEADER, ServiceTokenCodec } from '../../runtime/service-token.ts'
import { TenantDatabase, type TestTenant } from '../test-support/tenant-database.ts'
import { TestBackend } from '../test-support/test-backend.ts'

/** The API as the backend serves it: its own wiring, pools and context. */
let database: TenantDatabase
let backend: TestBackend
let tenant: TestTenant

beforeAll(async () => {
  database = await TenantDatabase.create()
  tenant = await database.addTenant()
  backend = await TestBackend.start([database.record])
})
afterAll(async () => {
  await backend?.stop()
  await database?.drop()
})

test('buckets and objects are served beside rows', async () => {
  expect((await backend.call(tenant, '/storage/v1/bucket')).json).toEqual([])
  expect((await backend.call(tenant, '/storage/v1/bucket', { body: { id: 'b', name: 'b' } })).json).toEqual({
    name: 'b',
  })
  const up = await backend.call(tenant, '/storage/v1/object/b/dir/a.txt', {
    body: 'stored',
    headers: { 'content-type': 'text/plain' },
  })
  expect([up.status, up.json]).toEqual([200, { Id: expect.any(String), Key: 'b/dir/a.txt' }])
  expect((await backend.call(tenant, '/storage/v1/object/b/dir/a.txt')).text).toBe('stored')
  const missing = await backend.call(tenant, '/storage/v1/object/b/none', { headers: { 'x-request-id': 'req-1' } })
  expect([missing.status, missing.headers.get('x-request-id')]).toEqual([404, 'req-1'])
})

test('without a context there is nothing', async () => {
  for (const path of ['/storage/v1/bucket', '/storage/v1/object/public/b/dir/a.txt', '/storage/v1/nothing'])
    expect((await fetch(`${backend.url}${path}`)).status, path).toBe(401)
})

test('no other way to rows reaches the tables of storage', async () => {
  for (const table of ['_storage_objects', '_storage_buckets', '_storage_usage']) {
    const read = await backend.call(tenant, `/rest/v1/${table}`)
    expect([404, 200]).toContain(read.status)
    if (read.status === 200) expect(read.json).toEqual([])
    const change = await backend.call(tenant, `/rest/v1/${table}?tenant_id=neq.x`, { method: 'DELETE' })
    expect(change.status).not.toBe(200)
  }
  expect((await backend.call(tenant, '/storage/v1/object/b/dir/a.txt')).text).toBe('stored')
})

test('control, and nobody else, ends the files of a tenant that it purges', async () => {
  const other = await database.addTenant('globex')
  await backend.call(other, '/storage/v1/bucket', { body: { id: 'b', name: 'b' } })
  await backend.call(other, '/storage/v1/object/b/a', { body: 'x', headers: { 'content-type': 'text/plain' } })
  const purge = (headers: Record<string, string>, method = 'DELETE') =>
    fetch(`${backend.url}/internal/v1/tenants/${other.tenantId}/files`, { method, headers }).then(
      (answer) => answer.status,
    )
  const codec = new ServiceTokenCodec('test-internal-secret-of-32-characters')
  const token = (service: string) => ({ [SERVICE_TOKEN_HEADER]: codec.sign(service, Date.now()) })
  expect(await purge({})).toBe(401)
  expect(await purge(token('gateway'))).toBe(401)
  expect(await purge(token('control'), 'GET')).toBe(404)
  expect((await backend.call(other, '/storage/v1/object/b/a')).text).toBe('x')
  expect(await purge(token('control'))).toBe(204)
  expect(await purge(token('control'))).toBe(204)
  expect((await backend.call(other, '/storage/v1/object/b/a')).status).toBe(500)
  expect((await backend.call(tenant, '/storage/v1/object/b/dir/a.txt')).text).toBe('stored')
})
