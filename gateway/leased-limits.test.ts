import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { makeLogger } from '../runtime/log.ts'
import { connectRedis, type RedisClient, whenRedisReady } from '../runtime/redis.ts'
import type { RedisServer } from '../runtime/redis-server.ts'
import { quotaKey } from '../tenancy/quota-counter.ts'
import { startRedis } from '../test/support/redis.ts'
import { LeasedQuotaKeeper, QUOTA_LEASE_MS } from './leased-quota-keeper.ts'
import { LeasedRateLimiter, RATE_LEASE_MS } from './leased-rate-limiter.ts'
import type { OwnerLiveness } from './owner-liveness.ts'
import { QuotaLeases } from './quota-leases.ts'
import { RateAllotments } from './rate-allotments.ts'
import { RecallChannel } from './recall-channel.ts'

const log = makeLogger('test', 'silent')
let redisServer: RedisServer
const clients: RedisClient[] = []
const closers: (() => Promise<unknown>)[] = []
let tenantNumber = 0
let ownerNumber = 0

beforeAll(async () => {
  redisServer = await startRedis()
})
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
  for (const redis of clients.splice(0)) redis.disconnect()
})
afterAll(() => redisServer.stop())

async function client(): Promise<RedisClient> {
  const redis = connectRedis({ urls: [redisServer.url], connectionName: 'test', log, whenAway: 'fail-fast' })
  clients.push(redis)
  await whenRedisReady(redis, 5_000)
  return redis
}

/** Everybody lives but those that the test names. */
class TestLiveness implements OwnerLiveness {
  readonly owner: string
  constructor(owner: string) {
    this.owner = owner
  }
  readonly dead: string[] = []
  /** Who is dead, and known to be once somebody looks. */
  readonly gone = new Set<string>()
  readonly validUntilMs = Number.POSITIVE_INFINITY
  deadNames(): string {
    return this.dead.join(' ')
  }
  async findDead(owners: readonly string[]): Promise<boolean> {
    const found = owners.filter((owner) => this.gone.has(owner) && !this.dead.includes(owner))
    this.dead.push(...found)
    return found.length > 0
  }
}

type TestWorker = { limiter: LeasedRateLimiter; keeper: LeasedQuotaKeeper; liveness: TestLiveness; owner: string }

/** A worker's limits with connections of their own, on a clock that all workers share. */
async function makeWorker(clock: ManualClock, ledger: () => Promise<number>): Promise<TestWorker> {
  const redis = await client()
  const subscriber = await client()
  const owner = `owner-${++ownerNumber}`
  const liveness = new TestLiveness(owner)
  const recalls = new RecallChannel(subscriber, liveness)
  const common = { recalls, liveness, whenAway: 'local' as const, maxTenants: 1_000, clock, log }
  await subscriber.subscribe('aerodb:limits')
  const nowMs = () => clock.nowMs()
  const limiter = new LeasedRateLimiter({
    ...common,
    allotments: new RateAllotments({ redis, liveness, leaseMs: RATE_LEASE_MS, nowMs }),
  })
  const keeper = new LeasedQuotaKeeper({
    ...common,
    leases: new QuotaLeases({ redis, liveness, leaseMs: QUOTA_LEASE_MS, ledgerLagMs: 15_000, nowMs }),
    countInLedger: ledger,
  })
  closers.push(async () => {
    await Promise.all([limiter.close(), keeper.close()])
    recalls.stop()
  })
  return { limiter, keeper, liveness, owner }
}

async function makeWorkers(count: number, clock: ManualClock, ledger = async () => 0): Promise<TestWorker[]> {
  return Promise.all(Array.from({ length: count }, () => makeWorker(clock, ledger)))
}

const pick = (workers: readonly TestWorker[], index: number): TestWorker => {
  const worker = workers[index % workers.length]
  if (worker === undefined) throw new Error('no workers')
  return worker
}

test('over many workers no window of a second ever sees more than the limit, and no request is refused under it', async () => {
  const clock = new ManualClock()
  const workers = await makeWorkers(5, clock)
  const step = fc.record({
    advanceMs: fc.integer({ min: 0, max: 400 }),
    requests: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 25 }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 30 }),
      fc.array(step, { minLength: 5, maxLength: 30 }),
      async (limit, steps) => {
        const tenantId = `ten_${++tenantNumber}`
        const admittedAt: number[] = []
        for (const { advanceMs, requests } of steps) {
          clock.advance(advanceMs)
          const now = clock.nowMs()
          const usedBefore = admittedAt.filter((at) => at > now - 1_000).length
          const decisions = await Promise.all(
            requests.map((index) => Promise.resolve(pick(workers, index).limiter.take(tenantId, limit))),
          )
          const admitted = decisions.filter((decision) => decision.admitted).length
          for (let i = 0; i < admitted; i++) admittedAt.push(now)
          expect(admitted).toBe(Math.min(requests.length, limit - usedBefore))
        }
      },
    ),
    { numRuns: 40 },
  )
})

test('while a worker prolongs its lease it admits no more than the answer may leave it', async () => {
  const clock = new ManualClock()
  const workers = await makeWorkers(2, clock)
  const tenantId = `ten_${++tenantNumber}`
  const take = (index: number) => Promise.resolve(pick(workers, index).limiter.take(tenantId, 16))
  await Promise.all(Array.from({ length: 10 }, () => take(1)))
  for (let i = 0; i < 3; i++) await take(0)
  clock.advance(RATE_LEASE_MS * 0.6 - 100)
  await take(0)
  clock.advance(150)
  // The first of the two asks for the lease to be prolonged; the second comes before the answer.
  await Promise.all([take(0), take(0)])
  const others = await Promise.all(Array.from({ length: 16 }, () => take(1)))
  expect(others.filter((decision) => decision.admitted)).toHaveLength(13)
})

test('a worker that died holds up nobody for longer than a second once its death is known', async () => {
  const clock = new ManualClock()
  const [dying, living] = await makeWorkers(2, clock)
  const tenantId = `ten_${++tenantNumber}`
  for (let i = 0; i < 6; i++) expect((await dying?.limiter.take(tenantId, 10))?.admitted).toBe(true)
  living?.liveness.dead.push(dying?.owner ?? '')
  await living?.limiter.take(tenantId, 10)
  clock.advance(1_000)
  const decisions = await Promise.all(Array.from({ length: 12 }, () => living?.limiter.take(tenantId, 10)))
  expect(decisions.filter((decision) => decision?.admitted)).toHaveLength(10)
})

test('a dead worker is looked for though the living answer recalls all the time', async () => {
  const clock = new ManualClock()
  const [dead, ...living] = await makeWorkers(4, clock)
  if (dead === undefined) throw new Error('unreachable')
  const tenantId = `ten_${++tenantNumber}`
  const limit = 20
  await Promise.all(Array.from({ length: limit }, () => dead.limiter.take(tenantId, limit)))
  clock.advance(2_000)
  dead.limiter.forgetLeases()
  for (const { liveness } of living) liveness.gone.add(dead.owner)
  await vi.waitFor(
    async () => {
      clock.advance(2_000)
      let admitted = 0
      for (let round = 0; round < 8; round++) {
        const decisions = await Promise.all(living.map(({ limiter }) => limiter.take(tenantId, limit)))
        admitted += decisions.filter((decision) => decision.admitted).length
      }
      expect(admitted).toBe(limit)
    },
    { timeout: 5_000 },
  )
})

test('a lowered limit counts at once', async () => {
  const clock = new ManualClock()
  const [worker] = await makeWorkers(1, clock)
  const tenantId = `ten_${++tenantNumber}`
  for (let i = 0; i < 50; i++) await worker?.limiter.take(tenantId, 100)
  expect((await worker?.limiter.take(tenantId, 10))?.admitted).toBe(false)
  clock.advance(1_000)
  const decisions = await Promise.all(Array.from({ length: 12 }, () => worker?.limiter.take(tenantId, 10)))
  expect(decisions.filter((decision) => decision?.admitted)).toHaveLength(10)
})

test('over many workers a month admits exactly its quota, whoever asks and in whatever order', async () => {
  const clock = new ManualClock()
  const workers = await makeWorkers(4, clock)
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 300 }),
      fc.array(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 40 }), { minLength: 3, maxLength: 15 }),
      async (quota, bursts) => {
        const tenantId = `ten_${++tenantNumber}`
        let admitted = 0
        let asked = 0
        for (const burst of bursts) {
          const results = await Promise.all(
            burst.map((index) => Promise.resolve(pick(workers, index).keeper.take(tenantId, '2026-11', quota))),
          )
          asked += burst.length
          admitted += results.filter(Boolean).length
          expect(admitted).toBe(Math.min(asked, quota))
        }
      },
    ),
    { numRuns: 30 },
  )
})

test('a raised quota counts at once, and so does a lowered one', async () => {
  const clock = new ManualClock()
  const [worker] = await makeWorkers(1, clock)
  const tenantId = `ten_${++tenantNumber}`
  const takeMany = async (count: number, quota: number) => {
    const results = await Promise.all(
      Array.from({ length: count }, () => worker?.keeper.take(tenantId, '2026-11', quota)),
    )
    return results.filter(Boolean).length
  }
  expect(await takeMany(15, 10)).toBe(10)
  expect(await takeMany(15, 20)).toBe(10)
  expect(await takeMany(1_000, 2_000)).toBe(1_000)
  expect(await takeMany(1, 500)).toBe(0)
})

test('what a dead worker had leased is counted until the ledger tells, and then comes back', async () => {
  const clock = new ManualClock()
  let ledgerCount = 0
  const [dying, living] = await makeWorkers(2, clock, async () => ledgerCount)
  const tenantId = `ten_${++tenantNumber}`
  const quota = 1_000
  for (let i = 0; i < 10; i++) expect(await dying?.keeper.take(tenantId, '2026-11', quota)).toBe(true)
  living?.liveness.dead.push(dying?.owner ?? '')
  let admitted = 0
  while (await living?.keeper.take(tenantId, '2026-11', quota)) admitted++
  expect(admitted).toBeLessThan(990)
  ledgerCount = 10 + admitted
  clock.advance(16_000)
  await vi.waitFor(async () => {
    clock.advance(1_100)
    if (await living?.keeper.take(tenantId, '2026-11', quota)) admitted++
    expect(admitted).toBe(990)
  }, 5_000)
  expect(await living?.keeper.take(tenantId, '2026-11', quota)).toBe(false)
})

test('a counter that Redis lost is made from the ledger; what was used before is not counted twice', async () => {
  const clock = new ManualClock()
  let ledgerCount = 0
  const workers = await makeWorkers(2, clock, async () => ledgerCount)
  const redis = await client()
  const tenantId = `ten_${++tenantNumber}`
  for (let i = 0; i < 40; i++) expect(await pick(workers, i).keeper.take(tenantId, '2026-11', 100)).toBe(true)
  ledgerCount = 40
  await redis.del(quotaKey(tenantId, '2026-11'))
  for (const { keeper } of workers) keeper.forgetLeases()
  let admitted = 0
  for (let i = 0; i < 80; i++) if (await pick(workers, i).keeper.take(tenantId, '2026-11', 100)) admitted++
  expect(admitted).toBe(60)
})

test('with Redis and the ledger away, each policy does what it says', async () => {
  const clock = new ManualClock()
  const away = connectRedis({ urls: ['redis://127.0.0.1:1'], connectionName: 'test', log, whenAway: 'fail-fast' })
  clients.push(away)
  const liveness = new TestLiveness('x')
  const recalls = new RecallChannel(away, liveness)
  const common = { recalls, liveness, maxTenants: 10, clock, log }
  const allotments = new RateAllotments({ redis: away, liveness, leaseMs: 1_000 })
  const leases = new QuotaLeases({ redis: away, liveness, leaseMs: 1_000, ledgerLagMs: 1 })
  const countInLedger = () => Promise.reject(new Error('away'))
  const admitted = async (whenAway: 'local' | 'open' | 'closed') => {
    const limiter = new LeasedRateLimiter({ ...common, allotments, whenAway })
    const keeper = new LeasedQuotaKeeper({ ...common, leases, countInLedger, whenAway })
    closers.push(() => keeper.close())
    const rates = await Promise.all(Array.from({ length: 50 }, () => limiter.take('ten_a', 20)))
    const quotas = await Promise.allSettled(Array.from({ length: 50 }, () => keeper.take('ten_a', '2026-11', 30)))
    return [
      rates.filter((decision) => decision.admitted).length,
      quotas.filter((result) => result.status === 'fulfilled' && result.value).length,
    ]
  }
  expect(await admitted('local')).toEqual([20, 30])
  expect(await admitted('open')).toEqual([50, 50])
  expect(await admitted('closed')).toEqual([0, 0])
})
