import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { makeLogger } from '../runtime/log.ts'
import { quotaKey } from '../tenancy/quota-counter.ts'
import { LeasedQuotaKeeper } from './leased-quota-keeper.ts'
import { LeasedRateLimiter, RATE_LEASE_MS } from './leased-rate-limiter.ts'
import { QuotaLeases } from './quota-leases.ts'
import { RateAllotments } from './rate-allotments.ts'
import { RecallChannel } from './recall-channel.ts'
import { LimitsWorld, pick, TestLiveness } from './testing/limits-world.ts'

const log = makeLogger('test', 'silent')
const limits = new LimitsWorld()
const makeWorkers = limits.makeWorkers.bind(limits)

beforeAll(() => limits.start())
afterEach(() => limits.endWorkers())
afterAll(() => limits.stop())

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
        const tenantId = limits.nextTenantId()
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

test('however few tenants a worker remembers, none gets more than its limit, and none is refused under it', async () => {
  const clock = new ManualClock()
  const workers = await makeWorkers(3, clock, { maxTenants: 2 })
  const request = fc.record({ worker: fc.nat(2), tenant: fc.nat(7) })
  const step = fc.record({
    advanceMs: fc.integer({ min: 0, max: 700 }),
    requests: fc.array(request, { maxLength: 40 }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.array(step, { minLength: 5, maxLength: 25 }),
      async (limit, steps) => {
        const tenants = Array.from({ length: 8 }, () => ({ id: limits.nextTenantId(), admittedAt: [] as number[] }))
        for (const { advanceMs, requests } of steps) {
          clock.advance(advanceMs)
          const now = clock.nowMs()
          await Promise.all(
            tenants.map(async ({ id, admittedAt }, index) => {
              const usedBefore = admittedAt.filter((at) => at > now - 1_000).length
              const mine = requests.filter(({ tenant }) => tenant === index)
              const decisions = await Promise.all(
                mine.map(({ worker }) => Promise.resolve(pick(workers, worker).limiter.take(id, limit))),
              )
              const admitted = decisions.filter((decision) => decision.admitted).length
              for (let i = 0; i < admitted; i++) admittedAt.push(now)
              expect(admitted).toBe(Math.min(mine.length, limit - usedBefore))
            }),
          )
        }
      },
    ),
    { numRuns: 25 },
  )
})

test('what a forgotten tenant held is there for others at once, also when Redis was away when it was forgotten', async () => {
  const clock = new ManualClock()
  const workers = await makeWorkers(2, clock, { maxTenants: 1 })
  const [forgetful, other] = workers
  if (forgetful === undefined || other === undefined) throw new Error('unreachable')
  for (const isAway of [false, true]) {
    const tenantId = limits.nextTenantId()
    for (let i = 0; i < 8; i++) expect((await forgetful.limiter.take(tenantId, 8)).admitted).toBe(true)
    clock.advance(1_000)
    const away = isAway ? vi.spyOn(forgetful.redis, 'evalsha').mockRejectedValue(new Error('away')) : undefined
    for (let i = 0; i < 3; i++) await forgetful.limiter.take(limits.nextTenantId(), 8)
    away?.mockRestore()
    const decisions = await Promise.all(Array.from({ length: 9 }, () => other.limiter.take(tenantId, 8)))
    expect(decisions.filter((decision) => decision.admitted)).toHaveLength(8)
    clock.advance(2_000)
  }
})

test('while a worker prolongs its lease it admits no more than the answer may leave it', async () => {
  const clock = new ManualClock()
  const workers = await makeWorkers(2, clock)
  const tenantId = limits.nextTenantId()
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
  const tenantId = limits.nextTenantId()
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
  const tenantId = limits.nextTenantId()
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
  const tenantId = limits.nextTenantId()
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
        const tenantId = limits.nextTenantId()
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
  const tenantId = limits.nextTenantId()
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
  const [dying, living] = await makeWorkers(2, clock, { ledger: async () => ledgerCount })
  const tenantId = limits.nextTenantId()
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
  const workers = await makeWorkers(2, clock, { ledger: async () => ledgerCount })
  const redis = await limits.client()
  const tenantId = limits.nextTenantId()
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
  const away = limits.connect('redis://127.0.0.1:1')
  const liveness = new TestLiveness('x')
  const recalls = new RecallChannel(away, liveness)
  const common = { recalls, liveness, maxTenants: 10, clock, log }
  const allotments = new RateAllotments({ redis: away, liveness, leaseMs: 1_000 })
  const leases = new QuotaLeases({ redis: away, liveness, leaseMs: 1_000, ledgerLagMs: 1 })
  const countInLedger = () => Promise.reject(new Error('away'))
  const admitted = async (whenAway: 'local' | 'open' | 'closed') => {
    const limiter = new LeasedRateLimiter({ ...common, allotments, whenAway })
    const keeper = new LeasedQuotaKeeper({ ...common, leases, countInLedger, whenAway })
    limits.onEnd(() => keeper.close())
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
