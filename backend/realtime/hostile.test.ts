import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket as RawWebSocket } from 'ws'
import type { RedisServer } from '../../runtime/redis-server.ts'
import { startRedis } from '../../test/support/redis.ts'
import { makeTenant, TestBackend } from './test-support/realtime-harness.ts'
import { waitFor } from './test-support/wait-for.ts'

const acme = makeTenant('acme')
const slow = makeTenant('slow', { quotas: { ...acme.snapshot.quotas, requests_per_second: 2 } })
let redis: RedisServer
let backend: TestBackend

beforeAll(async () => {
  redis = await startRedis()
  backend = await TestBackend.start(redis, {
    tenants: [acme, slow],
    limits: { maxMessageBytes: 64 * 1024, maxBufferedBytes: 256 * 1024, maxRefusals: 20, maxChannelsPerConnection: 3 },
  })
})
afterAll(async () => {
  await backend.stop()
  await redis.stop()
})

type Reply = { topic: string; event: string; ref: unknown; payload: { status?: string; response?: unknown } }

/** A raw socket of version 1 that keeps what it hears. */
async function open(tenant = acme): Promise<{ socket: WebSocket; heard: Reply[]; closed: Promise<CloseEvent> }> {
  const socket = backend.socket(tenant)
  const heard: Reply[] = []
  socket.addEventListener('message', ({ data }) => heard.push(JSON.parse(String(data)) as Reply))
  const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve))
  await new Promise((resolve) => socket.addEventListener('open', resolve))
  return { socket, heard, closed }
}

const say = (topic: unknown, event: unknown, payload: unknown, ref: unknown = '1') =>
  JSON.stringify({ topic, event, payload, ref, join_ref: null })

/** The service is well when a new socket gets its heartbeat answered. */
async function expectWell(): Promise<void> {
  const { socket, heard } = await open()
  socket.send(say('phoenix', 'heartbeat', {}))
  await waitFor(() => heard.some((reply) => reply.payload.status === 'ok'))
  socket.close()
}

test.for([
  ['no JSON', '{"topic":'],
  ['JSON of the wrong kind', '[1,2,3,4,5]'],
  ['a number', '12'],
  ['a topic that is no text', say({ a: 1 }, 'phx_join', {})],
  ['an event that is no text', say('realtime:x', 5, {})],
  ['a ref that is an object', say('realtime:x', 'phx_join', {}, {})],
  ['a lone surrogate in the topic', '{"topic":"realtime:\\ud800","event":"phx_join","payload":{},"ref":"1"}'],
  ['bytes that are no broadcast', new Uint8Array([9, 9, 9])],
  ['a broadcast that ends too early', new Uint8Array([3, 255, 255, 255, 255, 255, 1])],
  [
    'nesting deeper than the stack',
    say('realtime:x', 'broadcast', 0).replace('0', '['.repeat(30_000) + ']'.repeat(30_000)),
  ],
] as [string, string | Uint8Array<ArrayBuffer>][])('%s closes that socket and hurts nobody', async ([, frame]) => {
  const { socket, closed } = await open()
  socket.send(frame)
  // Very deep JSON may be legal to the parser; then the socket is answered and we end it.
  const outcome = await Promise.race([closed, waitFor(() => socket.bufferedAmount === 0 && 'open')])
  if (outcome !== 'open') expect(outcome).toMatchObject({ code: 1007 })
  socket.close()
  await expectWell()
})

test('a frame over the limit closes its socket with 1009', async () => {
  const { socket, closed } = await open()
  socket.send('x'.repeat(100_000))
  expect((await closed).code).toBe(1009)
  await expectWell()
})

test.for([
  ['config of the wrong type', { config: 'x' }],
  ['changes that are no list', { config: { postgres_changes: {} } }],
  ['a token that is no text', { access_token: 5 }],
  ['a presence key that is an object', { config: { presence: { key: {} } } }],
  ['a list for a payload', []],
] as [string, unknown][])('a join with %s is refused with a reason', async ([, payload]) => {
  const { socket, heard } = await open()
  socket.send(say('realtime:x', 'phx_join', payload))
  const reply = await waitFor(() => heard.find((message) => message.event === 'phx_reply'))
  expect(reply.payload).toMatchObject({ status: 'error', response: { reason: expect.stringContaining('InvalidJoin') } })
  socket.close()
})

test('unknown topics, events and presences get an error and the socket lives on', async () => {
  const { socket, heard } = await open()
  const replyTo = (ref: string) => waitFor(() => heard.find((m) => m.event === 'phx_reply' && m.ref === ref))
  socket.send(say('elsewhere', 'phx_join', {}, 'a'))
  expect(await replyTo('a')).toMatchObject({ payload: { status: 'error', response: { reason: 'unmatched topic' } } })
  socket.send(say('realtime:never joined', 'broadcast', { event: 'e', payload: {} }, 'b'))
  expect(await replyTo('b')).toMatchObject({ payload: { status: 'error', response: { reason: 'unmatched topic' } } })
  socket.send(say('realtime:never joined', 'phx_leave', {}, 'c'))
  expect(await replyTo('c')).toMatchObject({ payload: { status: 'ok' } })
  socket.send(say('realtime:x', 'phx_join', null, 'd'))
  expect(await replyTo('d')).toMatchObject({ payload: { status: 'ok', response: { postgres_changes: [] } } })
  const refused: [string, unknown][] = [
    ['phx_nonsense', {}],
    ['presence', null],
    ['presence', { event: 'track', payload: 'text' }],
    ['presence', { event: 'track', payload: { big: 'x'.repeat(20_000) } }],
    ['broadcast', { no: 'event' }],
    ['broadcast', 'text'],
  ]
  for (const [index, [event, payload]] of refused.entries()) {
    socket.send(say('realtime:x', event, payload, `r${index}`))
    expect(await replyTo(`r${index}`)).toMatchObject({ payload: { status: 'error' } })
  }
  // A second join takes the place of the first; a fourth channel is one too many.
  socket.send(say('realtime:x', 'phx_join', {}, 'e'))
  expect(await replyTo('e')).toMatchObject({ payload: { status: 'ok' } })
  expect(heard).toContainEqual(expect.objectContaining({ event: 'phx_close', ref: 'd' }))
  for (const name of ['y', 'z']) socket.send(say(`realtime:${name}`, 'phx_join', {}, name))
  await replyTo('z')
  socket.send(say('realtime:one too many', 'phx_join', {}, 'f'))
  expect(await replyTo('f')).toMatchObject({ payload: { status: 'error' } })
  socket.close()
})

test('over the tenant’s rate messages are refused, and who does not listen is closed', async () => {
  const { socket, heard, closed } = await open(slow)
  for (let n = 0; n < 60; n++) socket.send(say('realtime:x', 'phx_leave', {}, String(n)))
  expect(await closed).toMatchObject({ code: 1008, reason: 'rate_limited' })
  expect(heard.filter((reply) => reply.payload.status === 'ok').length).toBeLessThanOrEqual(12)
  expect(heard).toContainEqual(
    expect.objectContaining({ payload: { status: 'error', response: { reason: 'Too many messages per second' } } }),
  )
  await expectWell()
})

test('a reader that does not read is closed when its buffer is full, and the others go on', async () => {
  const sleeper = new RawWebSocket(`${backend.url(acme)}/websocket?apikey=${acme.anonKey}&vsn=1.0.0`)
  await once(sleeper, 'open')
  sleeper.send(say('realtime:flood', 'phx_join', {}))
  await once(sleeper, 'message')
  sleeper.pause()
  const ended = once(sleeper, 'close')
  const { socket, heard } = await open()
  socket.send(say('realtime:flood', 'phx_join', { config: { broadcast: { ack: true } } }))
  await waitFor(() => heard.length > 0)
  const before = backend.realtime.connectionCount
  // Sent until the kernel's buffers are full too.
  for (let n = 0; n < 300; n++) {
    socket.send(say('realtime:flood', 'broadcast', { event: 'e', payload: 'x'.repeat(60_000) }, `b${n}`))
    await waitFor(() => heard.some((reply) => reply.ref === `b${n}`))
  }
  await waitFor(() => backend.realtime.connectionCount === before - 1)
  sleeper.resume()
  await ended
  socket.close()
})

test('an upgrade without a context, to another path or of another version is refused with a problem', async () => {
  const cases: [string, number][] = [
    [`/nobody/realtime/v1/websocket?vsn=1.0.0`, 401],
    [`/acme/realtime/v1/websocket?apikey=${acme.anonKey}&vsn=9`, 400],
    [`/acme/realtime/v1/other?apikey=${acme.anonKey}`, 404],
  ]
  for (const [path, status] of cases) {
    const { port } = new URL(backend.url(acme))
    const socket = connectTcp(Number(port), '127.0.0.1')
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    const key = Buffer.from('0123456789abcdef').toString('base64')
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    )
    await once(socket, 'close')
    expect(Buffer.concat(chunks).toString()).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  }
})
