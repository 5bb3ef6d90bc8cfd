import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { systemClock } from '../runtime/clock.ts'
import { makeLogger } from '../runtime/log.ts'
import { connectRedis, type RedisClient, whenRedisReady } from '../runtime/redis.ts'
import type { RedisServer } from '../runtime/redis-server.ts'
import { startRedis } from '../test/support/redis.ts'
import { ANNOUNCE_CHANNEL, CHANGES_KEY, documentKey } from './directory-keys.ts'
import { DirectoryPublisher } from './directory-publisher.ts'
import { DirectoryAwayError, DirectoryReader } from './directory-reader.ts'
import { LastKnownGood } from './last-known-good.ts'

type Document = { version: number; text: string }

const log = makeLogger('test', 'silent')
const clients: RedisClient[] = []
const readers: DirectoryReader<Document>[] = []
let directory: string
let shared: RedisServer

beforeAll(async () => {
  shared = await startRedis()
})

afterAll(() => shared.stop())

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'aerodb-directory-'))
  const redis = await client()
  await redis.flushall()
})

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.stop()
  for (const redis of clients.splice(0)) redis.disconnect()
  // A last-known-good copy may still be on its way to disk.
  await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
})

async function client(url = shared.url): Promise<RedisClient> {
  const redis = connectRedis({ urls: [url], connectionName: 'test', log, whenAway: 'fail-fast' })
  clients.push(redis)
  await whenRedisReady(redis, 5_000)
  return redis
}

async function reader(
  options: { url?: string; recheckMs?: number; start?: boolean } = {},
): Promise<DirectoryReader<Document>> {
  const made = new DirectoryReader<Document>({
    kind: 'tenant',
    redis: await client(options.url),
    subscriber: await client(options.url),
    lastKnownGood: new LastKnownGood(directory, log),
    parse: (text) => JSON.parse(text) as Document,
    versionOf: (entry) => entry.version,
    maxEntries: 100,
    recheckMs: options.recheckMs ?? 60_000,
    clock: systemClock,
    log,
  })
  readers.push(made)
  if (options.start !== false) made.start()
  return made
}

const document = (version: number, text: string) => JSON.stringify({ version, text })

test('a published document is read, and a change is seen without asking for it', async () => {
  const publisher = new DirectoryPublisher(await client())
  const directoryReader = await reader()
  await publisher.publish('tenant', 'acme', 1, document(1, 'old'))
  expect(await directoryReader.load('acme')).toEqual({ version: 1, text: 'old' })
  await publisher.publish('tenant', 'acme', 2, document(2, 'new'))
  await vi.waitFor(() => expect(directoryReader.peek('acme')).toEqual({ version: 2, text: 'new' }))
})

test('an older document never replaces a newer one', async () => {
  const publisher = new DirectoryPublisher(await client())
  expect(await publisher.publish('tenant', 'acme', 2, document(2, 'new'))).toBe(true)
  expect(await publisher.publish('tenant', 'acme', 1, document(1, 'old'))).toBe(false)
  expect((await (await reader()).load('acme'))?.text).toBe('new')
})

test('an absent document is known to be absent only while the directory is complete', async () => {
  const publisher = new DirectoryPublisher(await client())
  const directoryReader = await reader()
  await expect(directoryReader.load('nobody')).rejects.toThrow(DirectoryAwayError)
  await publisher.markComplete()
  expect(await directoryReader.load('nobody')).toBeNull()
  expect(directoryReader.peek('nobody')).toBeNull()
  await publisher.publish('tenant', 'nobody', 1, document(1, 'made'))
  await vi.waitFor(async () => expect((await directoryReader.load('nobody'))?.text).toBe('made'))
})

test('a change whose announcement was lost is found in the change log', async () => {
  const redis = await client()
  const publisher = new DirectoryPublisher(redis)
  const directoryReader = await reader({ recheckMs: 50 })
  await publisher.publish('tenant', 'acme', 1, document(1, 'old'))
  await directoryReader.load('acme')
  await redis.hset(documentKey('tenant', 'acme'), { version: 2, document: document(2, 'new') })
  await redis.zadd(CHANGES_KEY, 2, 'tenant:acme')
  await vi.waitFor(() => expect(directoryReader.peek('acme')?.text).toBe('new'))
})

test('with Redis away known documents are served, after a restart from disk; when it is back, changes are seen', async () => {
  const redisServer = await startRedis(join(directory, 'redis'))
  const { url } = redisServer
  const publisher = new DirectoryPublisher(await client(url))
  await publisher.publish('tenant', 'acme', 1, document(1, 'old'))
  const before = await reader({ url, recheckMs: 50 })
  await before.load('acme')
  const restarted = await reader({ url, recheckMs: 50, start: false })
  await vi.waitFor(async () => expect(await new LastKnownGood(directory, log).read('tenant', 'acme')).toBeDefined())
  await redisServer.stop()
  expect(before.peek('acme')?.text).toBe('old')
  restarted.start()
  expect((await restarted.load('acme'))?.text).toBe('old')
  await redisServer.start()
  const again = await client(url)
  await new DirectoryPublisher(again).publish('tenant', 'acme', 2, document(2, 'new'))
  await vi.waitFor(async () => expect((await restarted.load('acme'))?.text).toBe('new'), { timeout: 5_000 })
  await vi.waitFor(async () => expect((await before.load('acme'))?.text).toBe('new'), { timeout: 5_000 })
  await redisServer.stop()
})

test('of a document that was withdrawn no copy stays on disk, whoever had it in memory and whoever did not run', async () => {
  const publisher = new DirectoryPublisher(await client())
  await publisher.markComplete()
  const copies = new LastKnownGood(directory, log)
  const withdraw = async (key: string) => {
    expect(await copies.read('tenant', key)).toBeDefined()
    expect(await publisher.withdraw('tenant', key, 1)).toBe(true)
  }
  const isGone = (key: string) => vi.waitFor(async () => expect(await copies.read('tenant', key)).toBeUndefined())
  for (const key of ['in-memory', 'on-disk', 'while-down', 'stays'])
    await publisher.publish('tenant', key, 1, document(1, 'secret'))
  const first = await reader()
  for (const key of ['in-memory', 'on-disk', 'while-down', 'stays']) await first.load(key)
  await vi.waitFor(async () => expect(await copies.keys('tenant')).toHaveLength(4))
  await withdraw('in-memory')
  await isGone('in-memory')
  expect(await first.load('in-memory')).toBeNull()
  first.stop()
  const second = await reader()
  await withdraw('on-disk')
  await isGone('on-disk')
  second.stop()
  await withdraw('while-down')
  await reader({ recheckMs: 20 })
  await isGone('while-down')
  expect(await copies.keys('tenant')).toEqual(['stays'])
})

test('many callers of one missing document share one read', async () => {
  const redis = await client()
  await new DirectoryPublisher(redis).publish('tenant', 'acme', 1, document(1, 'one'))
  const directoryReader = await reader()
  const results = await Promise.all(Array.from({ length: 50 }, () => directoryReader.load('acme')))
  expect(new Set(results).size).toBe(1)
})

test('announcements for other kinds and other channels change nothing', async () => {
  const redis = await client()
  const publisher = new DirectoryPublisher(redis)
  const directoryReader = await reader()
  await publisher.publish('tenant', 'acme', 1, document(1, 'one'))
  const entry = await directoryReader.load('acme')
  await redis.publish(ANNOUNCE_CHANNEL, JSON.stringify({ kind: 'server', key: 'acme', version: 9 }))
  await publisher.publish('tenant', 'other', 3, document(3, 'other'))
  expect(directoryReader.peek('acme')).toBe(entry)
})
