import { type ChildProcess, fork } from 'node:child_process'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../runtime/clock.ts'
import { makeId } from '../runtime/ids.ts'
import { recordBatch } from './ledger-store.ts'
import { monthOf } from './month.ts'
import { PartitionLock } from './partition-locks.ts'
import { RedisUsageStream } from './redis-stream.ts'
import { segmentName } from './segment-format.ts'
import { DirectoryShipper } from './shipper.ts'
import { Sink } from './sink.ts'
import { openSpool } from './spool.ts'
import { SpoolReader } from './spool-reader.ts'
import { partitionOf } from './stream.ts'
import { CapriciousStream } from './testing/capricious-stream.ts'
import { appendMany, Pipeline, quiet, request } from './testing/harness.ts'
import { buildUsageDocument } from './usage-document.ts'

let pipeline: Pipeline

beforeEach(async () => {
  pipeline = await Pipeline.open()
})
afterEach(async () => {
  await pipeline.close()
})

function openTestSpool() {
  return openSpool({ directory: pipeline.spoolDirectory, log: quiet, maxSegmentBytes: 20_000 })
}

const soon = { timeout: 15_000, interval: 20 }

test('what is written to the spool is in the usage document, and the spool is emptied', async () => {
  pipeline.startSink()
  pipeline.startShipper()
  const spool = openTestSpool()
  await appendMany(spool, 'ten_a', 990)
  await new Promise<void>((resolve) =>
    spool.append(request('ten_a', { method: 'POST', status: 201, ingressBytes: 500 }), resolve),
  )
  await appendMany(spool, 'ten_b', 9)
  await expect.poll(() => pipeline.ledgerRequests(), soon).toBe(1_000)
  const now = Date.now()
  const document = await buildUsageDocument(pipeline.usage, 'ten_a', monthOf(now), now)
  expect(document.resources.api_requests).toEqual({
    total: 991,
    billable: 991,
    by_status: { '200': 990, '201': 1 },
    by_endpoint: [
      { method: 'GET', endpoint: '/rest/v1/todos', status: 200, count: 990 },
      { method: 'POST', endpoint: '/rest/v1/todos', status: 201, count: 1 },
    ],
  })
  expect(document.resources.egress.bytes).toBe(99_100)
  expect(document.resources.ingress.bytes).toBe(990 * 10 + 500)
  await spool.close()
  await expect.poll(() => readdir(pipeline.spoolDirectory), soon).toEqual([])
})

test('a Redis that lost its data costs nothing: what was not counted is sent again', async () => {
  const sink = pipeline.startSink()
  pipeline.startShipper()
  const spool = openTestSpool()
  await appendMany(spool, 'ten_a', 500)
  await expect.poll(() => pipeline.ledgerRequests(), soon).toBe(500)
  await pipeline.stop(sink)
  await appendMany(spool, 'ten_a', 500)
  const stream = new RedisUsageStream(pipeline.client)
  const partition = partitionOf(spool.producer, stream.partitions)
  await expect.poll(() => stream.length(partition), soon).toBeGreaterThan(0)
  await pipeline.redis.stop()
  await appendMany(spool, 'ten_a', 500)
  await pipeline.redis.start()
  pipeline.startSink()
  await expect.poll(() => pipeline.ledgerRequests(), soon).toBe(1_500)
  await spool.close()
  await expect.poll(() => readdir(pipeline.spoolDirectory), soon).toEqual([])
  expect(await pipeline.ledgerRequests()).toBe(1_500)
})

test('a shipper that starts while Redis is away ships once Redis is there', async () => {
  const spool = openTestSpool()
  await appendMany(spool, 'ten_a', 100)
  await pipeline.redis.stop()
  const shipper = pipeline.startShipper()
  await appendMany(spool, 'ten_a', 100)
  await expect.poll(() => readdir(join(pipeline.spoolDirectory, spool.producer)), soon).toContain('shipper.1.json')
  await pipeline.redis.start()
  pipeline.startSink()
  await expect.poll(() => pipeline.ledgerRequests(), soon).toBe(200)
  await pipeline.stop(shipper)
  await spool.close()
})

test('a sink killed between its transaction and the acknowledgement: the next one counts nothing twice', async () => {
  const shipper = pipeline.startShipper()
  const spool = openTestSpool()
  await appendMany(spool, 'ten_a', 300)
  const stream = new RedisUsageStream(pipeline.client)
  const partition = partitionOf(spool.producer, stream.partitions)
  await expect.poll(() => stream.length(partition), soon).toBeGreaterThan(0)
  const lock = await PartitionLock.tryTake(pipeline.databaseUrl, partition, quiet)
  if (lock === undefined) throw new Error('the partition is free')
  const received = await stream.read(partition, 10)
  await recordBatch(
    lock.client,
    received.flatMap(({ entry }) => entry ?? []),
    Date.now(),
  )
  await lock.release()
  const sink = pipeline.startSink()
  await appendMany(spool, 'ten_a', 10)
  await expect.poll(() => pipeline.ledgerRequests(), soon).toBe(310)
  expect(sink.stats().duplicates).toBeGreaterThan(0)
  await spool.close()
  await expect.poll(() => readdir(pipeline.spoolDirectory), soon).toEqual([])
  await pipeline.stop(shipper)
  expect(await pipeline.ledgerRequests()).toBe(310)
})

test('a stream that repeats, delays and forgets at will: every record is counted once', async () => {
  const repeating = new CapriciousStream(new RedisUsageStream(pipeline.client))
  const shipper = new DirectoryShipper(
    { directory: pipeline.spoolDirectory, log: quiet, pollMs: 5, scanMs: 20, stallMs: 100 },
    repeating,
  )
  const sink = new Sink({
    databaseUrl: pipeline.databaseUrl,
    pool: pipeline.pool,
    stream: repeating,
    clock: systemClock,
    log: quiet,
    pollMs: 5,
    balanceMs: 50,
  })
  shipper.start()
  sink.start()
  const spool = openTestSpool()
  for (let i = 0; i < 20; i++) await appendMany(spool, 'ten_a', 100)
  await spool.close()
  await expect.poll(() => readdir(pipeline.spoolDirectory), { ...soon, timeout: 30_000 }).toEqual([])
  expect(await pipeline.ledgerRequests()).toBe(2_000)
  expect(sink.stats().duplicates).toBeGreaterThan(0)
  await shipper.close()
  await sink.close()
}, 60_000)

test('a mark that went back and came again, with the segments between them gone: sending goes on', async () => {
  const spool = openTestSpool()
  await appendMany(spool, 'ten_a', 2_000)
  const reader = new SpoolReader(pipeline.spoolDirectory, spool.producer, quiet)
  const read = async () => {
    const entries = await reader.read(Date.now())
    return entries.map(({ kind, firstSequence, count }) => ({ kind, firstSequence, count }))
  }
  while ((await read()).length > 0);
  await reader.rewind(1)
  await reader.deleteThrough(1_990)
  expect(await reader.firstSequence()).toBeGreaterThan(1)
  const [first] = await read()
  expect(first?.kind).toBe('records')
  expect(first?.firstSequence).toBeLessThanOrEqual(1_991)
  expect((first?.firstSequence ?? 0) + (first?.count ?? 0)).toBeGreaterThan(1_991)
  await spool.close()
})

test('a producer whose files cannot be read holds up nobody else', async () => {
  const broken = join(pipeline.spoolDirectory, makeId('prd'))
  await mkdir(join(broken, segmentName(1)), { recursive: true })
  pipeline.startSink()
  pipeline.startShipper()
  const spool = openTestSpool()
  await appendMany(spool, 'ten_a', 500)
  await expect.poll(() => pipeline.ledgerRequests(), soon).toBe(500)
  await spool.close()
  await expect.poll(() => readdir(pipeline.spoolDirectory), soon).toEqual([basename(broken)])
  await rm(broken, { recursive: true })
})

test('two sinks share the partitions, and one takes over all when the other goes', async () => {
  const first = pipeline.startSink()
  await expect.poll(() => first.stats().partitions, soon).toEqual([0, 1, 2, 3])
  const second = pipeline.startSink()
  await expect.poll(() => [first, second].map((sink) => sink.stats().partitions.length), soon).toEqual([2, 2])
  await pipeline.stop(first)
  await expect.poll(() => second.stats().partitions, soon).toEqual([0, 1, 2, 3])
})

test('two shippers over one directory: each producer has one, and the orphans of a stopped one are taken over', async () => {
  const first = pipeline.startShipper()
  const spool = openTestSpool()
  await appendMany(spool, 'ten_a', 10)
  await expect.poll(() => first.producers(), soon).toEqual([spool.producer])
  const second = pipeline.startShipper()
  await appendMany(spool, 'ten_a', 10)
  expect(second.producers()).toEqual([])
  await pipeline.stop(first)
  await expect.poll(() => second.producers(), soon).toEqual([spool.producer])
  pipeline.startSink()
  await expect.poll(() => pipeline.ledgerRequests(), soon).toBe(20)
  await spool.close()
})

test('writers killed with -9 again and again: every record that was acknowledged is counted, once', async () => {
  pipeline.startSink()
  pipeline.startShipper()
  let acknowledged = 0
  for (let life = 0; life < 4; life++) {
    const writer = fork(fileURLToPath(new URL('./testing/kill-writer.ts', import.meta.url)), [pipeline.spoolDirectory])
    let ofThisLife = 0
    writer.on('message', (count) => {
      ofThisLife = Number(count)
    })
    await expect.poll(() => ofThisLife, soon).toBeGreaterThan(2_000 * (life + 1))
    await killHard(writer)
    acknowledged += ofThisLife
  }
  await expect.poll(() => readdir(pipeline.spoolDirectory), soon).toEqual([])
  const { rows } = await pipeline.pool.query<{ counted: string; spooled: string }>(
    `select (select sum(records) from metering.ledger where kind = 'request')::text as counted,
       (select sum(mark - 1) from metering.producers)::text as spooled`,
  )
  expect(rows[0]?.counted).toBe(rows[0]?.spooled)
  // A record may be in the spool whose acknowledgement the kill cut off, or whose message the kill swallowed; never fewer.
  expect(Number(rows[0]?.counted)).toBeGreaterThanOrEqual(acknowledged)
  const byTenant = await pipeline.pool.query<{ n: string }>(
    `select sum(requests)::text as n from metering.usage_hourly where tenant_id = 'ten_killed'`,
  )
  expect(byTenant.rows[0]?.n).toBe(rows[0]?.counted)
})

async function killHard(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}
