import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeLogger } from '../../runtime/log.ts'
import { makePostgresPool, type PostgresPool } from '../../runtime/postgres-pool.ts'
import { documentKey } from '../../tenancy/directory-keys.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World } from '../testing/world.ts'
import { probeContexts } from './context-probes.ts'
import { auditPublished } from './published-documents.ts'

let world: World
let control: TestControl
let redis: Redis
let metadata: PostgresPool
const tenants: Record<string, string> = {}

beforeAll(async () => {
  world = await startWorld()
  const { databaseUrl, sharedUrl } = world
  control = await startTestControl({ databaseUrl, sharedUrls: [sharedUrl], redisUrl: world.redis.url })
  redis = new Redis(world.redis.url)
  const log = makeLogger('test', 'silent')
  metadata = makePostgresPool({ url: databaseUrl, applicationName: 'test', maxConnections: 1, log })
  for (const name of ['told', 'other']) {
    const made = await control.call('POST', '/v1/tenants', { body: { name } })
    expect(made.status).toBe(201)
    tenants[name] = made.body.tenant_id
  }
}, 120_000)

afterAll(async () => {
  redis?.disconnect()
  await metadata?.end()
  await control?.stop()
  await world?.stop()
})

const audit = () => auditPublished(redis, metadata)

// biome-ignore lint/suspicious/noExplicitAny: a document is changed member by member, as whoever writes to Redis would
type Change = (document: any) => void

/** Changes a document as somebody who can write to Redis would, looks, and puts it back. */
async function whileChanged(kind: 'tenant' | 'server', name: string, change: Change, version?: string) {
  const key = documentKey(kind, name)
  const kept = await redis.hgetall(key)
  const document = JSON.parse(kept.document ?? 'null')
  change(document)
  await redis.hset(key, { document: JSON.stringify(document), version: version ?? kept.version ?? '' })
  const seen = await audit()
  await redis.hset(key, kept)
  return seen.map(({ schema, object, what }) => [schema, object, what])
}

test('what control publishes, also of tenants that were changed, deleted or renamed keys, has no finding', async () => {
  const path = `/v1/tenants/${tenants.other}`
  await control.call('PATCH', path, { body: { status: 'suspended' } })
  const key = await control.call('POST', `${path}/keys`, { body: { kind: 'anon' } })
  await control.call('DELETE', `${path}/keys/${key.body.key_id}`)
  await control.call('PUT', `${path}/jwt`, { body: { secret: 'a-very-secret-secret-of-thirty-two-characters' } })
  await control.call('PATCH', path, { body: { status: 'active' } })
  const gone = await control.call('POST', '/v1/tenants', { body: { name: 'gone' } })
  await control.call('DELETE', `/v1/tenants/${gone.body.tenant_id}`)
  await control.call('POST', '/v1/tenants', { body: { name: 'gone' } })
  expect(await audit()).toEqual([])
})

test.each<[string, Change]>([
  ['tenant', (told) => Object.assign(told, { tenant_id: tenants.other })],
  ['status', (told) => Object.assign(told, { status: 'suspended' })],
  ['placement', (told) => Object.assign(told.placement, { schema: `t_${tenants.other?.slice(4)}` })],
  ['placement', (told) => Object.assign(told.placement, { role: `t_${tenants.other?.slice(4)}` })],
  ['placement', (told) => Object.assign(told.placement, { server: 'shared-1' })],
  ['JWT settings', (told) => Object.assign(told.jwt, { jwks_url: 'https://example.org/jwks' })],
  ['backend', (told) => Object.assign(told.backend, { kind: 'registered', urls: ['http://192.0.2.1'] })],
  ['keys', (told) => Object.assign(told.keys[0], { digest: 'of-a-key-of-mine' })],
  ['keys', (told) => told.keys.push({ ...told.keys[0], id: 'key_mine' })],
  ['keys', (told) => Object.assign(told.keys[0], { kind: told.keys[0].kind === 'anon' ? 'service' : 'anon' })],
])('a tenant’s document with another %s is found', async (what, change) => {
  expect(await whileChanged('tenant', 'told', change)).toEqual([
    [`t_${tenants.told?.slice(4)}`, 'tenant told in Redis', `it differs from what control decided: ${what}`],
  ])
})

test('a document of no tenant, of a version that control never gave, or that nobody can read is found; an older one is on its way', async () => {
  const key = documentKey('tenant', 'told')
  const mine = documentKey('tenant', 'mine')
  await redis.hset(mine, await redis.hgetall(key))
  expect(await audit()).toMatchObject([
    { schema: null, object: 'tenant mine in Redis', what: 'no tenant has that name' },
  ])
  await redis.del(mine)
  const [newer] = await whileChanged('tenant', 'told', () => {}, '999999999')
  expect(newer?.[2]).toBe('its version 999999999 is none that control gave')
  const [unreadable] = await whileChanged('tenant', 'told', (told) => Object.assign(told, { keys: 'all' }))
  expect(unreadable?.[2]).toBe('it cannot be read')
  expect(await whileChanged('tenant', 'told', (told) => Object.assign(told, { status: 'suspended' }), '1')).toEqual([])
})

test('a server’s document that leads elsewhere is found', async () => {
  for (const change of [{ host: '192.0.2.1' }, { port: 1 }, { database: 'mine' }])
    expect(await whileChanged('server', 'shared-0', (told) => Object.assign(told, change))).toEqual([
      [null, 'server shared-0 in Redis', `it differs from what control decided: ${Object.keys(change)[0]}`],
    ])
})

test('a backend that believes a forged context is found; one that refuses, or is out of reach, is not', async () => {
  const answers: Record<string, (context: string | undefined) => number> = {
    refusing: () => 401,
    believing: (context) => (context === undefined ? 401 : 200),
    open: () => 200,
  }
  const found: Record<string, string[]> = {}
  for (const [name, answer] of Object.entries(answers)) {
    const server = createServer((request, response) => {
      response.writeHead(answer(request.headers['x-aerodb-context'] as string | undefined)).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    found[name] = [...new Set((await probeContexts([url], Date.now())).map(({ what }) => what))]
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    expect(await probeContexts([url], Date.now())).toEqual([])
  }
  const forged = [
    'a request with a context under another secret got 200',
    'a request with an unsigned context got 200',
    'a request with the mere text of a context got 200',
  ]
  expect(found).toEqual({
    refusing: [],
    believing: forged,
    open: ['a request without a context got 200', ...forged],
  })
})
