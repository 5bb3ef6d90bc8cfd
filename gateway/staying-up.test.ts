import { mkdtemp, rm } from 'node:fs/promises'
import { Agent } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { makeLogger } from '../runtime/log.ts'
import { connectRedis, type RedisClient, whenRedisReady } from '../runtime/redis.ts'
import type { RedisServer } from '../runtime/redis-server.ts'
import { DirectoryPublisher } from '../tenancy/directory-publisher.ts'
import { startRedis } from '../test/support/redis.ts'
import { GatewayProcess } from './testing/gateway-process.ts'
import { makeTenant, UNLIMITED } from './testing/snapshots.ts'
import { StubUpstream } from './testing/stub-upstream.ts'

let redisServer: RedisServer
let redis: RedisClient
let gateway: GatewayProcess
let dataDirectory: string
const backend = new StubUpstream('from-gateway')
const tenant = makeTenant('steady', {
  quotas: { ...UNLIMITED, requests_per_second: 100_000, api_requests_per_month: 1_000_000 },
})
let env: Record<string, string>

beforeAll(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'aerodb-gateway-'))
  redisServer = await startRedis()
  const log = makeLogger('test', 'silent')
  redis = connectRedis({ urls: [redisServer.url], connectionName: 'test', log, whenAway: 'wait' })
  await whenRedisReady(redis, 5_000)
  const publisher = new DirectoryPublisher(redis)
  await publisher.publish('tenant', 'steady', 1, JSON.stringify(tenant.snapshot))
  await publisher.markComplete()
  env = {
    AERODB_REDIS_URL: redisServer.url,
    AERODB_BACKEND_URLS: await backend.start(),
    AERODB_GATEWAY_BODY_IDLE_MS: '1000',
  }
  gateway = await GatewayProcess.start(env, dataDirectory)
})

afterAll(async () => {
  await gateway.stop()
  redis.disconnect()
  await Promise.all([backend.stop(), redisServer.stop()])
  await rm(dataDirectory, { recursive: true, force: true })
})

const headers = { apikey: tenant.anonKey }
const ask = (agent?: Agent | false) =>
  gateway.ask('steady.localhost', '/rest/v1/t', { headers, ...(agent === undefined ? {} : { agent }) })

/** Sends bytes and drops the connection, or resets it, after `afterMs`. */
function breakOff(bytes: string, afterMs: number, how: 'close' | 'reset'): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(gateway.port, '127.0.0.1', () => {
      socket.write(bytes)
      setTimeout(() => {
        if (how === 'reset') socket.resetAndDestroy()
        else socket.destroy()
      }, afterMs)
    })
    socket.on('error', () => {})
    socket.once('close', () => resolve())
  })
}

test('after thousands of aborted uploads, broken requests and slow bodies it still serves, and holds nothing of them', async () => {
  const head = (path: string) => `POST ${path} HTTP/1.1\r\nHost: steady.localhost\r\napikey: ${tenant.anonKey}\r\n`
  const shapes = [
    `${head('/storage/v1/object/b/x')}Content-Length: 1000000\r\n\r\n${'x'.repeat(10_000)}`,
    `${head('/storage/v1/object/b/x')}Transfer-Encoding: chunked\r\n\r\n100\r\nabc`,
    `${head('/rest/v1/t')}Content-Le`,
    `GET /rest/v1/slow HTTP/1.1\r\nHost: steady.localhost\r\napikey: ${tenant.anonKey}\r\n\r\n`,
    'nonsense\r\n\r\n',
    `${head('/rest/v1/t')}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
  ]
  backend.answer = (request, response) => {
    request.on('error', () => {})
    if (request.url === '/rest/v1/slow') return
    request.resume()
    request.on('end', () => response.end('ok'))
  }
  for (let round = 0; round < 34; round++) {
    await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        breakOff(shapes[i % shapes.length] ?? '', i % 3, i % 2 === 0 ? 'close' : 'reset'),
      ),
    )
  }
  expect((await ask()).status).toBe(200)
  const slow = `${head('/storage/v1/object/b/slow')}Content-Length: 1000\r\n\r\nx`
  const refused = new Promise<string>((resolve) => {
    const socket = connect(gateway.port, '127.0.0.1', () => socket.write(slow))
    let answer = ''
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
    socket.on('error', () => {})
    socket.once('close', () => resolve(answer))
  })
  expect(await refused).toMatch(/^HTTP\/1\.1 408 /)
  await Promise.all(Array.from({ length: 100 }, async () => expect((await ask()).status).toBe(200)))
  await vi.waitFor(() => expect(backend.underWay).toBe(0), { timeout: 15_000, interval: 250 })
}, 90_000)

test('a rolling restart of the workers under load loses no request', async () => {
  backend.answer = (_request, response) => {
    setTimeout(() => response.end('ok'), 2)
  }
  const before = [...(gateway.ready.pids ?? [])]
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  let isOver = false
  let served = 0
  const load = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (!isOver) {
        expect((await ask(agent)).status).toBe(200)
        served++
      }
    }),
  )
  gateway.signal('SIGHUP')
  try {
    await vi.waitFor(
      () => {
        expect(gateway.ready.pids).toHaveLength(2)
        expect(gateway.ready.pids?.some((pid) => before.includes(pid))).toBe(false)
      },
      { timeout: 40_000, interval: 100 },
    )
  } finally {
    isOver = true
    await load
    agent.destroy()
  }
  expect(served).toBeGreaterThan(50)
}, 60_000)

test('a request under way is answered before a stopping gateway ends', async () => {
  const other = await GatewayProcess.start({ ...env, AERODB_GATEWAY_WORKERS: '1' })
  let release: (() => void) | undefined
  backend.answer = (_request, response) => {
    release = () => response.end('late')
  }
  const answer = other.ask('steady.localhost', '/rest/v1/late', { headers })
  await vi.waitFor(() => expect(release).toBeDefined())
  other.signal('SIGTERM')
  setTimeout(() => release?.(), 300)
  expect((await answer).body).toBe('late')
  await other.stop()
})

test('with Redis stopped known tenants are served, also after a restart; unknown ones are 503, not 404', async () => {
  backend.answer = (_request, response) => {
    response.end('ok')
  }
  expect((await ask()).status).toBe(200)
  await redisServer.stop()
  for (let i = 0; i < 30; i++) expect((await ask()).status).toBe(200)
  await gateway.stop({ keepData: true })
  gateway = await GatewayProcess.start(env, dataDirectory)
  for (let i = 0; i < 30; i++) expect((await ask()).status).toBe(200)
  const unknown = await gateway.ask('nobody.localhost', '/rest/v1/t')
  expect(unknown.status).toBe(503)
  expect(JSON.parse(unknown.body).code).toBe('directory_unavailable')
}, 60_000)
