import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { CONTEXT_HEADER, type RequestContext, RequestContextCodec } from '../../tenancy/request-context.ts'
import { startTestControl, TEST_SECRET, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World, withClient } from '../testing/world.ts'

const codec = new RequestContextCodec(TEST_SECRET)
let world: World
let control: TestControl
let operatorKey: string
let tenantId: string
let otherId: string
/** What reached the stand-in for the backend. */
const seen: { method: string | undefined; url: string | undefined; context: RequestContext | undefined }[] = []
const backend = createServer((request, response) => {
  const header = request.headers[CONTEXT_HEADER]
  seen.push({ method: request.method, url: request.url, context: codec.verify(String(header), Date.now()) })
  response.setHeader('content-type', 'application/json')
  response.end('[{"id":1}]')
})

beforeAll(async () => {
  world = await startWorld()
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve))
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
    overrides: { AERODB_BACKEND_URLS: [`http://127.0.0.1:${(backend.address() as AddressInfo).port}`] },
  })
  const operator = await control.call('POST', '/v1/platform-keys', { body: { name: 'support', role: 'operator' } })
  operatorKey = operator.body.key
  tenantId = (await control.call('POST', '/v1/tenants', { body: { name: 'granting' } })).body.tenant_id
  otherId = (await control.call('POST', '/v1/tenants', { body: { name: 'another' } })).body.tenant_id
})

afterAll(async () => {
  await control.stop()
  await new Promise((resolve) => backend.close(resolve))
  await world.stop()
})

beforeEach(() => {
  seen.length = 0
})

/** As the gateway passes a tenant's own call on. */
const asTenant = (method: string, path: string, id = tenantId, role: RequestContext['role'] = 'service_role') =>
  control.call(method, `/platform/v1${path}`, {
    key: null,
    headers: {
      [CONTEXT_HEADER]: codec.sign({
        tenant_id: id,
        name: 'granting',
        isolation: 'schema',
        placement: null,
        role,
        key_id: 'key_1',
        claims: null,
        quotas: { storage_bytes: null, file_storage_bytes: null },
        expires_at: Date.now() + 60_000,
      }),
    },
  })
const ask = async (body: Record<string, unknown> = {}) => {
  const asked = await control.call('POST', `/v1/tenants/${tenantId}/access-grants`, {
    key: operatorKey,
    body: { reason: 'ticket 7', minutes: 30, ...body },
  })
  expect(asked).toMatchObject({ status: 201, body: { status: 'pending', access: body.access ?? 'read' } })
  return asked.body.grant_id as string
}
const read = (grantId: string, options: { method?: string; key?: string; path?: string } = {}) =>
  control.call(
    options.method ?? 'GET',
    `/v1/tenants/${tenantId}/access-grants/${grantId}/rest/v1/${options.path ?? 'notes?select=id'}`,
    { key: options.key ?? operatorKey },
  )

test('nobody gets at data before the tenant has approved, and then only who asked', async () => {
  const grantId = await ask()
  expect((await read(grantId)).status).toBe(404)
  expect((await asTenant('POST', `/access-grants/${grantId}/approve`)).body).toMatchObject({
    status: 'approved',
    decided_by: 'tenant-key:key_1',
  })
  expect((await read(grantId)).body).toEqual([{ id: 1 }])
  expect(seen).toMatchObject([
    { method: 'GET', url: '/rest/v1/notes?select=id', context: { tenant_id: tenantId, role: 'service_role' } },
  ])
  // Not even an owner uses another's grant.
  expect((await read(grantId, { key: control.ownerKey })).status).toBe(404)
  expect(seen).toHaveLength(1)
})

test('a read-only grant lets nothing be written; one for writing does', async () => {
  const readOnly = await ask()
  await asTenant('POST', `/access-grants/${readOnly}/approve`)
  for (const method of ['POST', 'PATCH', 'PUT', 'DELETE']) expect((await read(readOnly, { method })).status).toBe(404)
  const writing = await ask({ access: 'write' })
  await asTenant('POST', `/access-grants/${writing}/approve`)
  expect((await read(writing, { method: 'DELETE' })).status).toBe(200)
})

test('a path that leads out of the data is not followed', async () => {
  const grantId = await ask()
  await asTenant('POST', `/access-grants/${grantId}/approve`)
  for (const path of ['../../schema/v1/collections', '%2e%2e/%2e%2e/sql/v1', '..%2f..%2fsql/v1'])
    await read(grantId, { path })
  expect(seen.every(({ url }) => url?.startsWith('/rest/v1/'))).toBe(true)
})

test('both sides see each use in the audit log', async () => {
  const grantId = await ask()
  await asTenant('POST', `/access-grants/${grantId}/approve`)
  await read(grantId, { path: 'secrets' })
  const theirs = await asTenant('GET', '/audit-log')
  expect(theirs.body.data[0]).toMatchObject({
    action: 'access_grant.use',
    after: { grant_id: grantId, method: 'GET', path: '/rest/v1/secrets' },
  })
  const ours = await control.call('GET', `/v1/audit-log?target=${tenantId}&action=access_grant.use`)
  expect(ours.body.data[0].after.path).toBe('/rest/v1/secrets')
  expect((await asTenant('GET', `/access-grants/${grantId}`)).body).toMatchObject({ uses: 1 })
})

test('the tenant ends a grant, and one whose time is over ends by itself', async () => {
  const ended = await ask()
  await asTenant('POST', `/access-grants/${ended}/approve`)
  expect((await asTenant('POST', `/access-grants/${ended}/end`)).body.status).toBe('ended')
  expect((await read(ended)).status).toBe(404)
  expect((await asTenant('POST', `/access-grants/${ended}/approve`)).status).toBe(409)
  const expired = await ask()
  await asTenant('POST', `/access-grants/${expired}/approve`)
  await withClient(world.databaseUrl, (client) =>
    client.query(`update control.access_grants set expires_at = now() - interval '1 second' where grant_id = $1`, [
      expired,
    ]),
  )
  expect((await read(expired)).status).toBe(404)
  expect((await asTenant('GET', `/access-grants/${expired}`)).body.status).toBe('expired')
})

test("only the tenant's own service key decides", async () => {
  const grantId = await ask()
  const path = `/access-grants/${grantId}/approve`
  expect((await asTenant('POST', path, tenantId, 'anon')).status).toBe(403)
  expect((await asTenant('POST', path, tenantId, 'authenticated')).status).toBe(403)
  expect((await asTenant('POST', path, otherId)).status).toBe(404)
  expect((await control.call('POST', `/platform/v1${path}`)).status).toBe(401)
  expect((await asTenant('POST', `/access-grants/${grantId}/deny`)).body.status).toBe('denied')
  expect((await asTenant('POST', path)).status).toBe(409)
})
