import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World, withClient } from '../testing/world.ts'

let world: World
let control: TestControl
let counter = 0

beforeAll(async () => {
  world = await startWorld()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
  })
})

afterAll(async () => {
  await control.stop()
  await world.stop()
})

const freshKey = () => `key-${++counter}`
const post = (key: string, body: unknown, path = '/v1/tenants', caller?: string) =>
  control.call('POST', path, {
    body,
    headers: { 'idempotency-key': key },
    ...(caller === undefined ? {} : { key: caller }),
  })

test('a repeated create gets the same answer, keys included, and makes nothing', async () => {
  const key = freshKey()
  const first = await post(key, { name: 'once' })
  const again = await post(key, { name: 'once' })
  expect(first.status).toBe(201)
  expect(again.status).toBe(201)
  expect(again.body).toEqual(first.body)
  expect(again.headers.get('idempotency-replayed')).toBe('true')
  expect(first.headers.get('idempotency-replayed')).toBeNull()
})

test('the quoted form of the draft and the order of members do not matter; another body is 422', async () => {
  const first = await post('"quoted"', { name: 'quoted', plan: 'pro' })
  expect((await post('quoted', { plan: 'pro', name: 'quoted' })).body).toEqual(first.body)
  expect(await post('quoted', { name: 'another' })).toMatchObject({
    status: 422,
    body: { code: 'idempotency_key_reused' },
  })
  expect((await post('quoted', { name: 'quoted', plan: 'pro' }, '/v1/webhooks')).status).toBe(422)
})

test('of concurrent requests with one key one is carried out, the others wait their turn', async () => {
  const key = freshKey()
  const answers = await Promise.all(Array.from({ length: 10 }, () => post(key, { name: 'raced' })))
  const done = answers.filter((answer) => answer.status === 201)
  expect(done.length).toBeGreaterThanOrEqual(1)
  expect(new Set(done.map((answer) => answer.body.tenant_id)).size).toBe(1)
  expect(answers.every((answer) => answer.status === 201 || answer.status === 409)).toBe(true)
})

test('a refused request leaves its key free', async () => {
  const key = freshKey()
  expect((await post(key, { name: 'x' })).status).toBe(400)
  expect((await post(key, { name: 'free-again' })).status).toBe(201)
})

test("another caller's same key is another key", async () => {
  const other = await control.call('POST', '/v1/platform-keys', { body: { name: 'other', role: 'owner' } })
  const key = freshKey()
  const mine = await post(key, { name: 'mine' })
  const theirs = await post(key, { name: 'theirs' }, '/v1/tenants', other.body.key)
  expect([mine.status, theirs.status]).toEqual([201, 201])
})

test('a create whose process died after the commit is answered from its operation, with the same keys', async () => {
  const key = freshKey()
  const first = await post(key, { name: 'crashed' })
  // As a crash right before the answer was kept leaves it.
  await withClient(world.databaseUrl, (client) =>
    client.query(
      'update control.idempotency_keys set status = null, sealed_response = null where idempotency_key = $1',
      [key],
    ),
  )
  const again = await post(key, { name: 'crashed' })
  expect(again.status).toBe(201)
  expect(again.body.keys).toEqual(first.body.keys)
})

test('kept answers are sealed: no key lies open in the database', async () => {
  const key = freshKey()
  const made = await post(key, { name: 'platform', role: 'viewer' }, '/v1/platform-keys')
  expect((await post(key, { name: 'platform', role: 'viewer' }, '/v1/platform-keys')).body).toEqual(made.body)
  await withClient(world.databaseUrl, async (client) => {
    for (const table of ['idempotency_keys', 'operations', 'platform_keys', 'audit_log', 'tenant_keys']) {
      const rows = await client.query(`select * from control.${table}`)
      expect(JSON.stringify(rows.rows)).not.toMatch(/aero_(?:platform|anon|service)_[0-9A-Za-z]{38}/)
    }
  })
})

test('an unusable Idempotency-Key is refused', async () => {
  expect((await post('x'.repeat(256), { name: 'long-key' })).status).toBe(400)
})
