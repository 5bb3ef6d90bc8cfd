import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { makeLogger } from '../runtime/log.ts'
import { connectRedis, type RedisClient, whenRedisReady } from '../runtime/redis.ts'
import type { RedisServer } from '../runtime/redis-server.ts'
import { DirectoryPublisher } from '../tenancy/directory-publisher.ts'
import { CONTEXT_HEADER, RequestContextCodec } from '../tenancy/request-context.ts'
import { startRedis } from '../test/support/redis.ts'
import { GatewayProcess } from './testing/gateway-process.ts'
import { INTERNAL_SECRET, makeTenant, UNLIMITED } from './testing/snapshots.ts'

let redisServer: RedisServer
let redis: RedisClient
let gateway: GatewayProcess
const tenant = makeTenant('live', { quotas: { ...UNLIMITED, realtime_connections: 3 } })
const seen: IncomingMessage[] = []
/** A stand-in for the realtime backend: echoes what it gets. */
const backend = createServer((_request, response) => response.writeHead(426).end())
const echo = new WebSocketServer({ noServer: true })
const open: WebSocket[] = []

beforeAll(async () => {
  redisServer = await startRedis()
  const log = makeLogger('test', 'silent')
  redis = connectRedis({ urls: [redisServer.url], connectionName: 'test', log, whenAway: 'wait' })
  await whenRedisReady(redis, 5_000)
  const publisher = new DirectoryPublisher(redis)
  await publisher.publish('tenant', 'live', 1, JSON.stringify(tenant.snapshot))
  await publisher.markComplete()
  backend.on('upgrade', (request, socket, head) => {
    seen.push(request)
    if (request.url?.includes('refuse') === true) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno')
      return
    }
    echo.handleUpgrade(request, socket, head, (ws) =>
      ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary })),
    )
  })
  await new Promise<void>((resolve) => {
    backend.listen(0, '127.0.0.1', resolve)
  })
  gateway = await GatewayProcess.start({
    AERODB_REDIS_URL: redisServer.url,
    AERODB_BACKEND_URLS: `http://127.0.0.1:${(backend.address() as AddressInfo).port}`,
  })
})

afterEach(async () => {
  for (const socket of open.splice(0)) socket.terminate()
  await vi.waitFor(async () => expect(await held()).toBe(0), 10_000)
})

afterAll(async () => {
  await gateway.stop()
  redis.disconnect()
  for (const client of echo.clients) client.terminate()
  await new Promise((resolve) => backend.close(resolve))
  await redisServer.stop()
})

async function held(): Promise<number> {
  const counts = await redis.hvals(`aerodb:conn:{${tenant.snapshot.tenant_id}}`)
  return counts.reduce((sum, count) => sum + Number(count), 0)
}

type Opened = { socket: WebSocket; status: number; body: string }

/** Opens a WebSocket as a client would; resolves with the status when it is refused. */
function connect(query = `?apikey=${tenant.anonKey}&vsn=1.0.0`, headers: Record<string, string> = {}): Promise<Opened> {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/realtime/v1/websocket${query}`, {
    headers: { Host: 'live.localhost', ...headers },
  })
  open.push(socket)
  return new Promise((resolve, reject) => {
    socket.on('error', () => {})
    socket.once('open', () => resolve({ socket, status: 101, body: '' }))
    socket.once('unexpected-response', (_request, response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.once('end', () => resolve({ socket, status: response.statusCode ?? 0, body }))
    })
    setTimeout(() => {
      // Or it would take a place later, when nobody counts on it any more.
      if (socket.readyState === WebSocket.CONNECTING) socket.terminate()
      reject(new Error('no answer'))
    }, 5_000).unref()
  })
}

test('a WebSocket passes through with the signed context, the key in the query or in a header', async () => {
  for (const opened of [await connect(), await connect('', { apikey: tenant.anonKey })]) {
    expect(opened.status).toBe(101)
    const echoed = new Promise((resolve) => opened.socket.once('message', (data) => resolve(data.toString())))
    const text = 'ä'.repeat(100_000)
    opened.socket.send(text)
    expect(await echoed).toBe(text)
  }
  const token = String(seen[0]?.headers[CONTEXT_HEADER])
  expect(new RequestContextCodec(INTERNAL_SECRET).verify(token, Date.now())).toMatchObject({
    name: 'live',
    role: 'anon',
  })
})

test('a wrong key is 401, a refusal by the backend is passed on, and both keep no place', async () => {
  expect((await connect('?apikey=nonsense')).status).toBe(401)
  expect((await connect('')).status).toBe(401)
  expect(await connect(`?apikey=${tenant.anonKey}&refuse`)).toMatchObject({ status: 403, body: 'no' })
  await vi.waitFor(async () => expect(await held()).toBe(0))
})

test('over all workers no more than the limit are open; a closed one makes room', async () => {
  const opened = await Promise.all(Array.from({ length: 6 }, () => connect()))
  const accepted = opened.filter(({ status }) => status === 101)
  const refused = opened.filter(({ status }) => status === 429)
  expect([accepted.length, refused.length]).toEqual([3, 3])
  expect(JSON.parse(refused[0]?.body ?? '').code).toBe('connection_limit_exceeded')
  accepted[0]?.socket.close()
  await vi.waitFor(async () => expect((await connect()).status).toBe(101), 5_000)
})

test('a killed worker frees its connections', async () => {
  const opened = await Promise.all(Array.from({ length: 3 }, () => connect()))
  const gone = Promise.all(opened.map(({ socket }) => new Promise((resolve) => socket.once('close', resolve))))
  for (const pid of gateway.ready.pids ?? []) process.kill(pid, 'SIGKILL')
  await gone
  await vi.waitFor(async () => expect((await connect()).status).toBe(101), 40_000)
  for (let i = 0; i < 2; i++) expect((await connect()).status).toBe(101)
  // What the dead held goes with the next handshake that needs room; here nobody does.
  await redis.del(`aerodb:conn:{${tenant.snapshot.tenant_id}}`)
}, 60_000)

test('a plain request to the realtime path, and an upgrade to anything else, are ordinary requests', async () => {
  const answer = await gateway.ask('live.localhost', '/rest/v1/todos', {
    headers: { apikey: tenant.anonKey, Connection: 'Upgrade', Upgrade: 'h2c' },
  })
  expect(answer.status).toBe(426)
})

test('when the gateway stops, clients are told that it goes away (1001)', async () => {
  const { socket } = await connect()
  const code = new Promise((resolve) => socket.once('close', (status) => resolve(status)))
  gateway.signal('SIGTERM')
  expect(await code).toBe(1001)
})
