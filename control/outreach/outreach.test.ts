import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { documentKey } from '../../tenancy/directory-keys.ts'
import { eventually } from '../testing/eventually.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World, withClient } from '../testing/world.ts'

let world: World
let control: TestControl
type Received = { headers: Record<string, string | string[] | undefined>; body: string }
const received: Received[] = []
let answer = 200
const receiver = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk) => (body += chunk))
  request.on('end', () => {
    received.push({ headers: request.headers, body })
    response.statusCode = answer
    response.end()
  })
})
let receiverUrl: string

beforeAll(async () => {
  world = await startWorld()
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  receiverUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
  control = await startTestControl({ ...around(), overrides: { AERODB_WEBHOOK_ALLOW_PRIVATE: true } })
})

afterAll(async () => {
  await control.stop()
  await new Promise((resolve) => receiver.close(resolve))
  await world.stop()
})

const find = (type: string) => received.find((message) => JSON.parse(message.body).type === type)

test('a webhook gets what happens, signed so that the receiver can verify it', async () => {
  const made = await control.call('POST', '/v1/webhooks', {
    body: { url: receiverUrl, events: ['tenant.created', 'tenant.updated'] },
  })
  expect(made).toMatchObject({ status: 201, body: { secret: expect.stringMatching(/^whsec_/) } })
  expect(JSON.stringify((await control.call('GET', '/v1/webhooks')).body)).not.toContain(made.body.secret)
  const tenant = await control.call('POST', '/v1/tenants', { body: { name: 'told' } })
  await control.call('PATCH', `/v1/tenants/${tenant.body.tenant_id}`, { body: { status: 'suspended' } })
  await eventually(() => expect(find('tenant.updated')).toBeDefined())
  const message = find('tenant.created')
  if (message === undefined) throw new Error('tenant.created was not told')
  expect(JSON.parse(message.body)).toMatchObject({ data: { tenant_id: tenant.body.tenant_id, name: 'told' } })
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature } = message.headers
  const key = Buffer.from(made.body.secret.slice('whsec_'.length), 'base64')
  const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${message.body}`).digest('base64')
  expect(signature).toBe(`v1,${mac}`)
  await control.call('POST', `/v1/tenants/${tenant.body.tenant_id}/keys`, { body: { kind: 'anon' } })
  expect(find('tenant_key.created')).toBeUndefined()
  expect((await control.call('DELETE', `/v1/webhooks/${made.body.webhook_id}`)).status).toBe(204)
})

test('a receiver that fails is tried again, and one that is gone is given up with an alert', async () => {
  const made = await control.call('POST', '/v1/webhooks', { body: { url: receiverUrl } })
  const deliveries = async () =>
    (await control.call('GET', `/v1/webhooks/${made.body.webhook_id}/deliveries`)).body.data
  answer = 503
  await control.call('POST', '/v1/tenants', { body: { name: 'retried' } })
  await eventually(async () =>
    expect((await deliveries())[0]).toMatchObject({ status: 'pending', attempts: 1, last_status: 503 }),
  )
  answer = 200
  const hurry = () =>
    withClient(world.databaseUrl, (client) =>
      client.query(
        `update control.webhook_deliveries set next_attempt_at = now() - interval '11 seconds' where status = 'pending'`,
      ),
    )
  await hurry()
  await eventually(async () => expect((await deliveries())[0]).toMatchObject({ status: 'delivered', attempts: 2 }))
  answer = 410
  await control.call('POST', '/v1/tenants', { body: { name: 'gone' } })
  await eventually(async () => {
    const alerts = await control.call('GET', '/v1/alerts?status=open')
    expect(alerts.body.data.map((alert: { kind: string }) => alert.kind)).toContain('webhook_disabled')
  })
  answer = 200
})

test('a tenant is placed on a registered backend, which stays while it is used', async () => {
  const made = await control.call('POST', '/v1/backends', {
    body: { name: 'upstream', url: receiverUrl, pipelining: 4 },
  })
  expect(made).toMatchObject({ status: 201, body: { name: 'upstream', pipelining: 4 } })
  expect((await control.call('POST', '/v1/backends', { body: { name: 'upstream', url: receiverUrl } })).status).toBe(
    409,
  )
  const tenant = await control.call('POST', '/v1/tenants', { body: { name: 'placed', backend: 'upstream' } })
  expect(tenant.body.backend).toBe('upstream')
  const redis = new Redis(world.redis.url)
  const backendOf = async () =>
    JSON.parse((await redis.hget(documentKey('tenant', 'placed'), 'document')) ?? '').backend
  try {
    expect(await backendOf()).toEqual({ kind: 'registered', name: 'upstream', urls: [receiverUrl], pipelining: 4 })
    expect((await control.call('DELETE', '/v1/backends/upstream')).status).toBe(409)
    await control.call('PATCH', `/v1/tenants/${tenant.body.tenant_id}`, { body: { backend: null } })
    expect((await backendOf()).kind).toBe('shared')
  } finally {
    redis.disconnect()
  }
  expect((await control.call('DELETE', `/v1/backends/${made.body.backend_id}`)).status).toBe(204)
})

// Replicas share the work, so this one, which calls no private address, starts when nothing is to be delivered any more.
describe('where private addresses are not allowed', () => {
  let guarded: TestControl

  beforeAll(async () => {
    guarded = await startTestControl({ ...around(), ownerKey: control.ownerKey })
  })

  afterAll(() => guarded.stop())

  test.each([
    'http://127.0.0.1/x',
    'http://[::1]/x',
    'http://169.254.169.254/latest/meta-data',
    'http://10.1.2.3/',
    'http://localhost:9000/',
    'http://0x7f000001/',
    'http://2130706433/',
    'ftp://example.com/',
    'https://user:pass@example.com/',
    'not a url',
  ])('%s is refused as the URL of a webhook or backend', async (url) => {
    for (const path of ['/v1/webhooks', '/v1/backends']) {
      const body = path === '/v1/backends' ? { url, name: 'inner' } : { url }
      const refused = await guarded.call('POST', path, { body })
      expect(refused).toMatchObject({ status: 400, body: { errors: [{ path: 'url' }] } })
    }
  })
})

function around() {
  return { databaseUrl: world.databaseUrl, sharedUrls: [world.sharedUrl], redisUrl: world.redis.url }
}
