import { readdir } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { Bus } from '../../backend/realtime/channels/bus.ts'
import { LeasedQuotaKeeper, QUOTA_LEASE_MS } from '../../gateway/leased-quota-keeper.ts'
import { LeasedRateLimiter, RATE_LEASE_MS } from '../../gateway/leased-rate-limiter.ts'
import { HeartbeatLiveness } from '../../gateway/owner-liveness.ts'
import { QuotaLeases } from '../../gateway/quota-leases.ts'
import { RateAllotments } from '../../gateway/rate-allotments.ts'
import { RecallChannel } from '../../gateway/recall-channel.ts'
import { monthOf } from '../../metering/month.ts'
import { reconcile } from '../../metering/reconciliation.ts'
import { RedisUsageStream } from '../../metering/redis-stream.ts'
import { openSpool } from '../../metering/spool.ts'
import { surveySpools } from '../../metering/spool-survey.ts'
import { partitionOf } from '../../metering/stream.ts'
import { appendMany, Pipeline } from '../../metering/testing/harness.ts'
import { ManualClock, systemClock } from '../../runtime/clock.ts'
import { makeLogger } from '../../runtime/log.ts'
import {
  connectRedis,
  connectSubscriber,
  onRedisLoss,
  type RedisClient,
  type RedisClientOptions,
  whenRedisReady,
} from '../../runtime/redis.ts'
import { documentKey } from '../../tenancy/directory-keys.ts'
import { DirectoryPublisher } from '../../tenancy/directory-publisher.ts'
import { DirectoryReader } from '../../tenancy/directory-reader.ts'
import { quotaKey } from '../../tenancy/quota-counter.ts'
import { TestRedisCluster } from '../support/redis-cluster.ts'

const log = makeLogger('test', 'silent')
const closers: (() => unknown)[] = []
let cluster: TestRedisCluster

beforeAll(async () => {
  cluster = await TestRedisCluster.start()
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  await cluster.reviveAll()
})
afterAll(() => cluster?.close())

async function connect(
  make: (options: RedisClientOptions) => RedisClient,
  whenAway: 'fail-fast' | 'wait' = 'fail-fast',
): Promise<RedisClient> {
  const client = make({ urls: cluster.urls, connectionName: 'test', log, whenAway, commandTimeoutMs: 1_000 })
  closers.push(() => client.disconnect())
  await whenRedisReady(client, 5_000)
  return client
}

type Worker = { limiter: LeasedRateLimiter; keeper: LeasedQuotaKeeper }

/** A gateway worker's limits, wired as the worker wires them; the rate limit on a clock that stands still. */
async function makeWorker(
  name: string,
  clock: ManualClock,
  ledger: () => Promise<number> = async () => 0,
): Promise<Worker> {
  const redis = await connect(connectRedis)
  const liveness = new HeartbeatLiveness({ redis, process: name, clock: systemClock })
  await liveness.start()
  const recalls = new RecallChannel(await connect(connectSubscriber), liveness)
  // Validity is of real time, the windows are of the test's.
  const alive = {
    get owner() {
      return liveness.owner
    },
    get validUntilMs() {
      return systemClock.monotonicMs() < liveness.validUntilMs ? Number.POSITIVE_INFINITY : 0
    },
    deadNames: () => liveness.deadNames(),
    findDead: (owners: readonly string[]) => liveness.findDead(owners),
  }
  const common = { recalls, liveness: alive, maxTenants: 100, log }
  const limiter = new LeasedRateLimiter({
    ...common,
    clock,
    whenAway: 'local',
    allotments: new RateAllotments({ redis, liveness, leaseMs: RATE_LEASE_MS, nowMs: () => clock.nowMs() }),
  })
  const keeper = new LeasedQuotaKeeper({
    ...common,
    clock: systemClock,
    whenAway: 'closed',
    leases: new QuotaLeases({ redis, liveness, leaseMs: QUOTA_LEASE_MS, ledgerLagMs: 15_000 }),
    countInLedger: ledger,
  })
  const forgetLeases = () => {
    limiter.forgetLeases()
    keeper.forgetLeases()
  }
  liveness.onRebirth(forgetLeases)
  onRedisLoss(redis, forgetLeases)
  closers.push(async () => {
    await Promise.all([limiter.close(), keeper.close()])
    recalls.stop()
    await liveness.stop()
  })
  return { limiter, keeper }
}

/** Names of tenants whose keys lie on three masters, the first one's on `master`. */
async function tenantsOnEveryMaster(prefix: string): Promise<string[]> {
  const byMaster = new Map<string, string>()
  for (let i = 0; byMaster.size < 3; i++) {
    const tenantId = `${prefix}_${i}`
    const { master } = await cluster.masterOf(`{${tenantId}}`)
    if (!byMaster.has(master.url)) byMaster.set(master.url, tenantId)
  }
  return [...byMaster.values()]
}

test('rate limits stay exact while a master fails over; those of its own tenants within what each worker may admit alone', async () => {
  const clock = new ManualClock()
  const workers = await Promise.all(['w1', 'w2', 'w3'].map((name) => makeWorker(name, clock)))
  const tenants = await tenantsOnEveryMaster('ten_rate')
  const [failing = ''] = tenants
  const limit = 20
  /** All admitted in one second of the clock that stands still, by every worker asking many times. */
  const admitted = new Map(tenants.map((tenantId) => [tenantId, 0]))
  const ask = async (rounds: number) => {
    for (let i = 0; i < rounds; i++) {
      await Promise.all(
        tenants.flatMap((tenantId) =>
          workers.map(async ({ limiter }) => {
            const decision = await limiter.take(tenantId, limit)
            if (decision.admitted) admitted.set(tenantId, (admitted.get(tenantId) ?? 0) + 1)
          }),
        ),
      )
    }
  }
  await ask(8)
  expect([...admitted.values()]).toEqual([limit, limit, limit])

  clock.advance(2_000)
  for (const tenantId of tenants) admitted.set(tenantId, 0)
  await ask(3)
  const failOver = cluster.failOver(`{${failing}}`)
  let isOver = false
  void failOver.finally(() => (isOver = true))
  while (!isOver) await ask(5)
  await failOver
  await ask(8)
  expect(admitted.get(failing)).toBeLessThanOrEqual(limit * workers.length)
  for (const tenantId of tenants.slice(1)) expect(admitted.get(tenantId)).toBe(limit)

  // With its new master the tenant's limit is exact again.
  await vi.waitFor(
    async () => {
      clock.advance(2_000)
      admitted.set(failing, 0)
      await ask(8)
      expect(admitted.get(failing)).toBe(limit)
    },
    { timeout: 15_000, interval: 100 },
  )
}, 60_000)

test('a monthly quota is spent to the last request and not beyond, with a failover in the middle', async () => {
  const clock = new ManualClock()
  const [tenantId = ''] = await tenantsOnEveryMaster('ten_quota')
  const [month, quota] = ['2026-11', 6_000]
  let admitted = 0
  let unknown = 0
  const workers = await Promise.all(['q1', 'q2', 'q3'].map((name) => makeWorker(name, clock, async () => 0)))
  const spend = async (until: number) => {
    while (admitted < until) {
      const before = admitted
      await Promise.all(
        workers.flatMap(({ keeper }) =>
          Array.from({ length: 10 }, async () => {
            try {
              if (await keeper.take(tenantId, month, quota)) admitted++
            } catch {
              // Redis is away and the policy is `closed`: 503, nothing is admitted.
              unknown++
            }
          }),
        ),
      )
      // What is refused is refused at once: leave the others the time to answer.
      if (admitted === before) await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  await spend(quota / 3)
  const failOver = cluster.failOver(quotaKey(tenantId, month))
  await Promise.all([failOver, spend((2 * quota) / 3)])
  expect(unknown).toBeGreaterThan(0)
  await spend(quota)
  const late = await Promise.all(workers.map(({ keeper }) => keeper.take(tenantId, month, quota)))
  expect(late).toEqual([false, false, false])
  expect(admitted).toBe(quota)
}, 60_000)

test('a changed tenant is known everywhere when its document was lost in a failover and is published again', async () => {
  const names = await tenantsOnEveryMaster('acme')
  const [name = ''] = names
  const redis = await connect(connectRedis)
  const publisher = new DirectoryPublisher(redis)
  const reader = new DirectoryReader<{ version: number }>({
    kind: 'tenant',
    redis: await connect(connectRedis),
    subscriber: await connect(connectSubscriber),
    parse: (text) => JSON.parse(text) as { version: number },
    versionOf: (entry) => entry.version,
    maxEntries: 100,
    recheckMs: 200,
    clock: systemClock,
    log,
  })
  reader.start()
  closers.push(() => reader.stop())
  const publish = (version: number) => publisher.publish('tenant', name, version, JSON.stringify({ version }))
  await publisher.markComplete()
  await publish(1)
  expect(await reader.load(name)).toEqual({ version: 1 })
  await publish(2)
  await expect.poll(() => reader.peek(name)).toEqual({ version: 2 })

  const isLost = new Promise<void>((resolve) => onRedisLoss(redis, resolve))
  await cluster.failOver(documentKey('tenant', name))
  await isLost
  // The replica lacks the last version: announced, but not there.
  await vi.waitFor(() => redis.hset(documentKey('tenant', name), 'version', 1, 'document', '{"version":1}'), {
    timeout: 10_000,
  })
  await redis.publish('aerodb:directory:announce', JSON.stringify({ kind: 'tenant', key: name, version: 3 }))
  await expect.poll(() => reader.peek(name)).toEqual({ version: 1 })
  await publish(3)
  await expect.poll(() => reader.peek(name), { timeout: 5_000 }).toEqual({ version: 3 })
}, 60_000)

test("one process's messages arrive in their order through the cluster, and a node's death is a gap that is told", async () => {
  const subscribers = [await connect(connectSubscriber, 'wait'), await connect(connectSubscriber, 'wait')]
  const [sender, receiver] = await Promise.all(
    subscribers.map(async (subscriber) => new Bus({ redis: await connect(connectRedis), subscriber, log })),
  )
  if (sender === undefined || receiver === undefined) throw new Error('unreachable')
  closers.push(() => [sender, receiver].map((bus) => bus.close()))
  const heard: unknown[] = []
  const channel = 'aerodb:realtime:topic:test'
  await receiver.subscribe(channel, ({ header }) => heard.push(header.n))
  const count = 500
  await Promise.all(Array.from({ length: count }, (_, n) => sender.publish(channel, { n })))
  await expect.poll(() => heard.length).toBe(count)
  expect(heard).toEqual(Array.from({ length: count }, (_, n) => n))

  const gap = new Promise<void>((resolve) => receiver.onGap(resolve))
  await cluster.kill(subscribers[1]?.options.port)
  await gap
  await receiver.confirm(channel)
  await vi.waitFor(
    async () => {
      await sender.publish(channel, { n: 'after' })
      expect(heard.at(-1)).toBe('after')
    },
    { timeout: 10_000 },
  )
}, 60_000)

test('billing loses and doubles nothing when the masters of its streams and of its marks fail over under load', async () => {
  const pipeline = await Pipeline.open({ url: cluster.url, start: async () => {}, stop: async () => {} })
  closers.push(() => pipeline.close())
  pipeline.startSink()
  pipeline.startSink()
  pipeline.startShipper()
  const spools = Array.from({ length: 3 }, () =>
    openSpool({ directory: pipeline.spoolDirectory, log, maxSegmentBytes: 50_000 }),
  )
  let isLoading = true
  let appended = 0
  const load = Promise.all(
    spools.map(async (spool) => {
      while (isLoading) {
        await appendMany(spool, 'ten_cluster', 100)
        appended += 100
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }),
  )
  await expect.poll(() => pipeline.ledgerRequests(), { timeout: 10_000 }).toBeGreaterThan(0)
  const [spool] = spools
  const partition = partitionOf(spool?.producer ?? '', new RedisUsageStream(pipeline.client).partitions)
  await cluster.failOver(`aerodb:usage:{${partition}}`)
  await cluster.reviveAll()
  const counted = await pipeline.ledgerRequests()
  await expect.poll(() => pipeline.ledgerRequests(), { timeout: 15_000 }).toBeGreaterThan(counted)
  await cluster.failOver('aerodb:usage:marks')
  isLoading = false
  await load
  for (const one of spools) await one.close()
  await expect.poll(() => pipeline.ledgerRequests(), { timeout: 30_000, interval: 50 }).toBe(appended)
  // Everything is counted, so nothing of it may stay behind on disk.
  await expect.poll(() => readdir(pipeline.spoolDirectory), { timeout: 30_000, interval: 50 }).toEqual([])
  const { startMs, endMs } = monthOf(Date.now())
  const left = await surveySpools(pipeline.spoolDirectory)
  const findings = await reconcile(pipeline.pool, { fromMs: startMs, untilMs: endMs }, left, appended)
  expect(findings.filter((finding) => finding.difference !== undefined)).toEqual([])
}, 120_000)
