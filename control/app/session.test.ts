import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World } from '../testing/world.ts'

let world: World
let control: TestControl

beforeAll(async () => {
  world = await startWorld()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
  })
})
afterAll(async () => {
  await control?.stop()
  await world?.stop()
})

const ours = () => ({ origin: control.url, 'x-csrf-protection': '1' })

/** What a browser would send, without a key of its own. */
function browse(method: string, path: string, headers: Record<string, string>, body?: unknown) {
  return control.call(method, path, { key: null, headers, ...(body === undefined ? {} : { body }) })
}

async function makePlatformKey(role: string): Promise<{ key_id: string; key: string }> {
  const { body } = await control.call('POST', '/v1/platform-keys', { body: { name: 'browser', role } })
  return body as { key_id: string; key: string }
}

/** The cookie of a fresh session, as the browser sends it back. */
async function signIn(key: string): Promise<{ cookie: string; set: string }> {
  const answer = await browse('POST', '/v1/session', ours(), { key })
  expect(answer.status).toBe(200)
  const set = answer.headers.get('set-cookie') ?? ''
  return { cookie: set.split(';')[0] ?? '', set }
}

test('a platform key becomes a cookie that no script reads and no other site sends', async () => {
  const { key } = await makePlatformKey('viewer')
  const { cookie, set } = await signIn(key)
  expect(set).toMatch(/HttpOnly/i)
  expect(set).toMatch(/SameSite=Strict/i)
  expect(set).not.toContain(key)
  expect((await browse('GET', '/v1/tenants', { cookie })).status).toBe(200)
  expect((await browse('GET', '/v1/session', { cookie })).body).toMatchObject({ role: 'viewer' })
  expect((await browse('POST', '/v1/tenants', { cookie, ...ours() }, { name: 'beyond' })).status).toBe(403)
})

test('without the header of our pages, or from the page of a tenant, a session changes nothing', async () => {
  const { key } = await makePlatformKey('owner')
  const { cookie } = await signIn(key)
  const create = (headers: Record<string, string>) =>
    browse('POST', '/v1/tenants', { cookie, ...headers }, { name: 'forged' })
  for (const headers of [
    {},
    { origin: control.url },
    { 'x-csrf-protection': '1' },
    { 'x-csrf-protection': '1', origin: 'http://evil.localhost' },
    { 'x-csrf-protection': '1', origin: 'null' },
  ])
    expect(await create(headers as Record<string, string>)).toMatchObject({
      status: 403,
      body: { code: 'cross_origin_request' },
    })
  expect((await browse('POST', '/v1/session', {}, { key })).status).toBe(403)
  expect((await create(ours())).status).toBe(201)
})

test('a session ends with its key, or when it is signed out; nonsense opens nothing', async () => {
  const { key, key_id } = await makePlatformKey('owner')
  const first = await signIn(key)
  const second = await signIn(key)
  expect((await browse('DELETE', '/v1/session', { cookie: first.cookie, ...ours() })).status).toBe(204)
  expect((await browse('GET', '/v1/tenants', { cookie: first.cookie })).status).toBe(401)
  expect((await browse('GET', '/v1/tenants', { cookie: second.cookie })).status).toBe(200)
  expect((await control.call('DELETE', `/v1/platform-keys/${key_id}`)).status).toBeLessThan(300)
  expect((await browse('GET', '/v1/tenants', { cookie: second.cookie })).status).toBe(401)
  expect((await browse('POST', '/v1/session', ours(), { key })).status).toBe(401)
  const [name = ''] = second.cookie.split('=')
  expect((await browse('GET', '/v1/tenants', { cookie: `${name}=nonsense` })).status).toBe(401)
})
