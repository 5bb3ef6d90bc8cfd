import { readFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeLogger } from '../runtime/log.ts'
import { connectRedis, whenRedisReady } from '../runtime/redis.ts'
import type { RedisServer } from '../runtime/redis-server.ts'
import { DirectoryPublisher } from '../tenancy/directory-publisher.ts'
import { startRedis } from '../test/support/redis.ts'
import { GatewayProcess } from './testing/gateway-process.ts'
import { makeTenant } from './testing/snapshots.ts'
import { StubUpstream } from './testing/stub-upstream.ts'

/** Enough to show that memory does not grow with it; 1 GB passes as well, it only takes longer. */
const TOTAL_BYTES = 300_000_000
const PIECE = Buffer.alloc(1_000_000, 'x')
/** What a worker may grow by while a body passes: some buffers, whatever the body's size. */
const MAX_GROWTH_BYTES = 150_000_000

let redisServer: RedisServer
let gateway: GatewayProcess
const backend = new StubUpstream('from-gateway')
const tenant = makeTenant('large')

beforeAll(async () => {
  redisServer = await startRedis()
  const log = makeLogger('test', 'silent')
  const redis = connectRedis({ urls: [redisServer.url], connectionName: 'test', log, whenAway: 'wait' })
  await whenRedisReady(redis, 5_000)
  const publisher = new DirectoryPublisher(redis)
  await publisher.publish('tenant', 'large', 1, JSON.stringify(tenant.snapshot))
  await publisher.markComplete()
  redis.disconnect()
  gateway = await GatewayProcess.start({
    AERODB_REDIS_URL: redisServer.url,
    AERODB_BACKEND_URLS: await backend.start(),
    AERODB_GATEWAY_WORKERS: '1',
  })
})

afterAll(async () => {
  await gateway.stop()
  await Promise.all([backend.stop(), redisServer.stop()])
})

async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${gateway.ready.pids?.[0]}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

/** Runs `work` and returns by how much the worker's memory grew at most meanwhile. */
async function growthDuring(work: () => Promise<void>): Promise<number> {
  const before = await residentBytes()
  let most = before
  const timer = setInterval(() => void residentBytes().then((bytes) => (most = Math.max(most, bytes))), 50)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  return most - before
}

test('a large body passes in both directions in constant memory', async () => {
  const options = {
    host: '127.0.0.1',
    port: gateway.port,
    path: '/storage/v1/object/b/large',
    headers: { Host: 'large.localhost', apikey: tenant.anonKey },
  }
  backend.answer = (request, response) => {
    let received = 0
    request.on('data', (chunk: Buffer) => (received += chunk.length))
    request.on('end', () => response.end(String(received)))
  }
  const up = await growthDuring(
    () =>
      new Promise((resolve, reject) => {
        const request = httpRequest({ ...options, method: 'POST' }, (response) => {
          let body = ''
          response.on('data', (chunk: Buffer) => (body += chunk.toString()))
          response.once('end', () => (body === String(TOTAL_BYTES) ? resolve() : reject(new Error(body))))
        })
        request.once('error', reject)
        let sent = 0
        const more = (): void => {
          while (sent < TOTAL_BYTES) {
            sent += PIECE.length
            if (!request.write(PIECE)) {
              request.once('drain', more)
              return
            }
          }
          request.end()
        }
        more()
      }),
  )
  backend.answer = (_request, response) => {
    let sent = 0
    const more = (): void => {
      while (sent < TOTAL_BYTES) {
        sent += PIECE.length
        if (!response.write(PIECE)) {
          response.once('drain', more)
          return
        }
      }
      response.end()
    }
    more()
  }
  const down = await growthDuring(
    () =>
      new Promise((resolve, reject) => {
        httpRequest(options, (response) => {
          let received = 0
          response.on('data', (chunk: Buffer) => (received += chunk.length))
          response.once('end', () => (received === TOTAL_BYTES ? resolve() : reject(new Error(String(received)))))
        })
          .once('error', reject)
          .end()
      }),
  )
  expect(up).toBeLessThan(MAX_GROWTH_BYTES)
  expect(down).toBeLessThan(MAX_GROWTH_BYTES)
}, 120_000)
