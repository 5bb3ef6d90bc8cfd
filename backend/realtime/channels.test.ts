import type { RealtimeChannel, RealtimeClient } from '@supabase/realtime-js'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { RedisServer } from '../../runtime/redis-server.ts'
import { startRedis } from '../../test/support/redis.ts'
import { makeTenant, publishTenant, TestBackend, userToken } from './test-support/realtime-harness.ts'
import { waitFor } from './test-support/wait-for.ts'

const acme = makeTenant('acme')
const globex = makeTenant('globex')
let redis: RedisServer
let one: TestBackend
let two: TestBackend
const clients: RealtimeClient[] = []

beforeAll(async () => {
  redis = await startRedis()
  one = await TestBackend.start(redis, { tenants: [acme, globex] })
  two = await TestBackend.start(redis, { tenants: [acme, globex] })
})
afterEach(async () => {
  for (const client of clients.splice(0)) await client.disconnect()
})
afterAll(async () => {
  await one.stop()
  await two.stop()
  await redis.stop()
})

function connect(backend: TestBackend, ...args: Parameters<TestBackend['client']>): RealtimeClient {
  const client = backend.client(...args)
  clients.push(client)
  return client
}

function subscribe(channel: RealtimeChannel): Promise<RealtimeChannel> {
  return new Promise((resolve, reject) =>
    channel.subscribe((status, fault) =>
      status === 'SUBSCRIBED' ? resolve(channel) : reject(fault ?? new Error(status)),
    ),
  )
}

/** Subscribes to a topic and keeps the payloads of its broadcasts. */
async function listen(
  client: RealtimeClient,
  topic: string,
  config = {},
): Promise<{ channel: RealtimeChannel; heard: unknown[] }> {
  const heard: unknown[] = []
  const channel = client.channel(topic, { config })
  channel.on('broadcast', { event: '*' }, (message) => heard.push(message.payload))
  await subscribe(channel)
  return { channel, heard }
}

test.for(['1.0.0', '2.0.0'])(
  'vsn %s: a broadcast reaches the others in the topic, on either process, and not its sender',
  async (vsn) => {
    const sender = await listen(connect(one, acme, { vsn }), 'room')
    const near = await listen(connect(one, acme), 'room')
    const far = await listen(connect(two, acme, { vsn }), 'room')
    const elsewhere = await listen(connect(one, acme), 'another room')
    await sender.channel.send({ type: 'broadcast', event: 'shout', payload: { text: 'grüß dich 👋', n: 1 } })
    await waitFor(() => near.heard.length === 1 && far.heard.length === 1)
    expect(near.heard).toEqual([{ text: 'grüß dich 👋', n: 1 }])
    expect(far.heard).toEqual(near.heard)
    expect(sender.heard).toEqual([])
    expect(elsewhere.heard).toEqual([])
  },
)

test('a sender that asks for it hears itself and gets an acknowledgement', async () => {
  const { channel, heard } = await listen(connect(one, acme), 'self', { broadcast: { self: true, ack: true } })
  expect(await channel.send({ type: 'broadcast', event: 'e', payload: { n: 1 } })).toBe('ok')
  await waitFor(() => heard.length === 1)
})

test('bytes broadcast by a client of version 2 arrive as bytes', async () => {
  const sender = await listen(connect(one, acme), 'bytes')
  const receiver = await listen(connect(two, acme), 'bytes')
  await sender.channel.send({ type: 'broadcast', event: 'e', payload: new Uint8Array([0, 255, 128]).buffer })
  const [bytes] = await waitFor(() => receiver.heard.length === 1 && receiver.heard)
  expect([...new Uint8Array(bytes as ArrayBuffer)]).toEqual([0, 255, 128])
})

test('what is sent by HTTP, alone or through the fallback, is heard on every process', async () => {
  const near = await listen(connect(one, acme), 'by http')
  const far = await listen(connect(two, acme), 'by http')
  const outside = connect(one, acme).channel('by http')
  expect(await outside.httpSend('e', { n: 1 })).toEqual({ success: true })
  const warn = console.warn
  console.warn = () => {}
  expect(await outside.send({ type: 'broadcast', event: 'e', payload: { n: 2 } })).toBe('ok')
  console.warn = warn
  await waitFor(() => near.heard.length === 2 && far.heard.length === 2)
  expect(near.heard).toEqual([{ n: 1 }, { n: 2 }])
})

test('no topic name, whatever it holds, is another tenant’s', async () => {
  const mine = await listen(connect(one, acme), 'room')
  const mineToo = await listen(connect(two, acme), `x`)
  const hostile = [
    'room',
    `{${acme.id}}:public:room`,
    `../{${acme.id}}:public:room`,
    `\u0000{${acme.id}}:public:room`,
    `room\r\nPUBLISH aerodb:realtime:topic:{${acme.id}}:public:room x`,
    '*',
    '[a-z]oom',
    '?',
    'x',
  ]
  const client = connect(one, globex)
  for (const name of hostile) {
    const { channel } = await listen(client, name, { broadcast: { ack: true } })
    expect(await channel.send({ type: 'broadcast', event: 'e', payload: { stolen: name } })).toBe('ok')
    await channel.httpSend('e', { stolen: name })
    await channel.unsubscribe()
  }
  // A message of our own comes after all of theirs on the same way.
  const sender = await listen(connect(two, acme), 'room')
  await sender.channel.send({ type: 'broadcast', event: 'e', payload: { mine: true } })
  await waitFor(() => mine.heard.length > 0)
  expect(mine.heard).toEqual([{ mine: true }])
  expect(mineToo.heard).toEqual([])
})

test('a private channel refuses the anon key, takes a user’s token, and hears nothing of the public topic of its name', async () => {
  await expect(subscribe(connect(one, acme).channel('secret', { config: { private: true } }))).rejects.toThrow(
    'Unauthorized',
  )
  const token = await userToken('ada')
  const user = connect(one, acme)
  await user.setAuth(token)
  const inside = await listen(user, 'secret', { private: true })
  const outside = await listen(connect(one, acme), 'secret', { broadcast: { ack: true } })
  await outside.channel.send({ type: 'broadcast', event: 'e', payload: { from: 'outside' } })
  await expect(
    connect(one, acme)
      .channel('secret', { config: { private: true } })
      .httpSend('e', {}),
  ).rejects.toThrow()
  const service = connect(two, acme, { key: acme.serviceKey }).channel('secret', { config: { private: true } })
  await service.httpSend('e', { from: 'service' })
  await waitFor(() => inside.heard.length > 0)
  expect(inside.heard).toEqual([{ from: 'service' }])
  expect(outside.heard).toEqual([])
})

test('a token of another tenant, or signed with another secret, opens no channel', async () => {
  const forged = await userToken('ada', { secret: 'another-secret-of-at-least-32-characters' })
  for (const token of [forged, globex.serviceKey, 'aero_anon_x', 'x.y.z']) {
    const client = connect(one, acme)
    await client.setAuth(token)
    await expect(subscribe(client.channel('t'))).rejects.toThrow(/Invalid/)
  }
})

test('an expired token closes its channel and says why; a refreshed one keeps it', async () => {
  const expiring = connect(one, acme)
  await expiring.setAuth(await userToken('ada', { expiresInS: 2 }))
  const messages: { status: string; message: string }[] = []
  const channel = expiring.channel('expiring')
  channel.on('system', {}, (message) => messages.push(message as never))
  const ended = new Promise<string>((resolve) => {
    channel.subscribe((status) => {
      if (status === 'CLOSED') resolve(status)
    })
  })
  expect(await ended).toBe('CLOSED')
  expect(messages[0]).toMatchObject({
    extension: 'system',
    status: 'error',
    message: expect.stringContaining('expired'),
  })

  const refreshed = connect(one, acme)
  await refreshed.setAuth(await userToken('ada', { expiresInS: 2 }))
  const kept = await listen(refreshed, 'kept', { private: true })
  await refreshed.setAuth(await userToken('ada', { expiresInS: 600 }))
  const sender = await listen(connect(two, acme, { key: acme.serviceKey }), 'kept', {
    private: true,
    broadcast: { ack: true },
  })
  await sender.channel.send({ type: 'broadcast', event: 'e', payload: { n: 1 } })
  await waitFor(() => kept.heard.length === 1)
  await refreshed.setAuth('x.y.z')
  await waitFor(() => kept.channel.state === 'closed')
})

test('a suspended tenant’s sockets are closed', async () => {
  const initech = makeTenant('initech')
  const backend = await TestBackend.start(redis, { tenants: [initech] })
  const socket = backend.socket(initech)
  await new Promise((resolve) => socket.addEventListener('open', resolve))
  const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve))
  await publishTenant(backend.redis, initech, { status: 'suspended' })
  expect(await closed).toMatchObject({ code: 1008, reason: 'tenant_suspended' })
  await backend.stop()
})

test('what was delivered is metered, aggregated', async () => {
  const initech = makeTenant('metered')
  const backend = await TestBackend.start(redis, { tenants: [initech] })
  const sender = await listen(connect(backend, initech), 'm', { broadcast: { ack: true } })
  const receiver = await listen(connect(backend, initech), 'm')
  for (let n = 0; n < 20; n++) await sender.channel.send({ type: 'broadcast', event: 'e', payload: { n } })
  await waitFor(() => receiver.heard.length === 20)
  for (const client of clients.splice(0)) await client.disconnect()
  await backend.stop()
  const total = backend.records.reduce(
    (sum, record) => sum + (record.kind === 'realtime' ? (record.messages ?? 0) : 0),
    0,
  )
  expect(total).toBe(20)
  expect(backend.records.length).toBeLessThan(20)
})
