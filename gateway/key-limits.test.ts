import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { Problem } from '../runtime/problem.ts'
import { DirectoryPublisher } from '../tenancy/directory-publisher.ts'
import type { TenantSnapshot } from '../tenancy/snapshot.ts'
import type { Exchange } from './exchange.ts'
import { Principal } from './principal.ts'
import { makeRateLimit } from './rate-limit.ts'
import { TenantEntry } from './tenant-entry.ts'
import { type Answer, GatewayProcess } from './testing/gateway-process.ts'
import { LimitsWorld, pick, type TestWorker } from './testing/limits-world.ts'
import { makeTenant, UNLIMITED } from './testing/snapshots.ts'
import { StubUpstream } from './testing/stub-upstream.ts'

const limits = new LimitsWorld()
beforeAll(() => limits.start())
afterEach(() => limits.endWorkers())
afterAll(() => limits.stop())

/** Sends one request through the step at a worker; tells whether it was admitted, and the fields that it got. */
async function request(worker: TestWorker, tenant: TenantEntry, principal: Principal) {
  const exchange = { tenant, principal, responseHeaders: [] as string[] }
  try {
    await makeRateLimit(worker.limiter)(exchange as unknown as Exchange)
    return { admitted: true, fields: exchange.responseHeaders, detail: '' }
  } catch (fault) {
    if (!(fault instanceof Problem)) throw fault
    return { admitted: false, fields: exchange.responseHeaders, detail: fault.detail ?? '' }
  }
}

function tenantWith(limit: number | null): TenantEntry {
  const quotas = { ...UNLIMITED, requests_per_second: limit }
  return new TenantEntry({ ...makeTenant('keyed', { quotas }).snapshot, tenant_id: limits.nextTenantId() })
}

let keyNumber = 0
const keyOf = (limit: number | null) => {
  const id = `key_${++keyNumber}`
  return new Principal('anon', id, null, Number.POSITIVE_INFINITY, limit === null ? null : { id, limit })
}

test("over many workers a request counts against its key's and its tenant's limit, or against neither", async () => {
  const clock = new ManualClock()
  const workers = await limits.makeWorkers(3, clock)
  const step = fc.record({
    advanceMs: fc.constantFrom(0, 0, 0, 90, 400, 1_000),
    worker: fc.nat(2),
    key: fc.nat(3),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 3, maxLength: 3 }),
      fc.array(step, { minLength: 20, maxLength: 80 }),
      async (limit, keyLimits, steps) => {
        const tenant = tenantWith(limit)
        const keys = [...keyLimits, null].map((keyLimit) => ({
          principal: keyOf(keyLimit),
          keyLimit,
          at: [] as number[],
        }))
        for (const { advanceMs, worker, key: index } of steps) {
          clock.advance(advanceMs)
          const now = clock.nowMs()
          const inWindow = (at: readonly number[]) => at.filter((one) => one > now - 1_000).length
          const key = keys[index]
          if (key === undefined) throw new Error('unreachable')
          const isTenantFull = inWindow(keys.flatMap(({ at }) => at)) >= limit
          const isFree = !isTenantFull && (key.keyLimit === null || inWindow(key.at) < key.keyLimit)
          const { admitted } = await request(pick(workers, worker), tenant, key.principal)
          if (admitted) key.at.push(now)
          expect(admitted).toBe(isFree)
          // What was taken back from the key is told to the other workers a moment later.
          if (isTenantFull) await sleep(3)
        }
      },
    ),
    { numRuns: 25 },
  )
}, 60_000)

test('at once, and over many workers, neither limit is passed', async () => {
  const clock = new ManualClock()
  const workers = await limits.makeWorkers(3, clock)
  const tenant = tenantWith(20)
  const keys = [keyOf(7), keyOf(30), keyOf(null)]
  for (let second = 0; second < 5; second++) {
    const admitted = [0, 0, 0]
    await Promise.all(
      Array.from({ length: 90 }, async (_, i) => {
        const index = i % 3
        const principal = keys[index]
        if (principal === undefined) throw new Error('unreachable')
        if ((await request(pick(workers, Math.floor(i / 3)), tenant, principal)).admitted)
          admitted[index] = (admitted[index] ?? 0) + 1
      }),
    )
    const [first = 0, rest = 0, third = 0] = admitted
    expect(first).toBeLessThanOrEqual(7)
    expect(first + rest + third).toBe(20)
    clock.advance(1_000)
    await sleep(20)
  }
})

test('both policies are told, and the older fields tell the one of which less is left', async () => {
  const [worker] = await limits.makeWorkers(1, new ManualClock())
  if (worker === undefined) throw new Error('unreachable')
  const tenant = tenantWith(5)
  const key = keyOf(2)
  const fieldsOf = ({ fields }: { fields: string[] }) =>
    Object.fromEntries(fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1]]] : [])))
  expect(fieldsOf(await request(worker, tenant, key))).toEqual({
    'RateLimit-Policy': '"second";q=5;w=1, "key";q=2;w=1',
    RateLimit: '"second";r=4;t=1, "key";r=1;t=1',
    'X-RateLimit-Limit': '2',
    'X-RateLimit-Remaining': '1',
    'X-RateLimit-Reset': '1',
  })
  await request(worker, tenant, key)
  const byKey = await request(worker, tenant, key)
  expect(byKey).toMatchObject({ admitted: false, detail: 'This key may make 2 requests per second.' })
  expect(fieldsOf(byKey).RateLimit).toBe('"second";r=3;t=1, "key";r=0;t=1')
  for (let i = 0; i < 3; i++) expect((await request(worker, tenant, keyOf(null))).admitted).toBe(true)
  const other = keyOf(9)
  const byTenant = await request(worker, tenant, other)
  expect(byTenant).toMatchObject({ admitted: false, detail: 'This tenant may make 5 requests per second.' })
  expect(fieldsOf(byTenant).RateLimit).toBe('"second";r=0;t=1, "key";r=9;t=1')
  expect(fieldsOf(await request(worker, tenantWith(null), keyOf(3))).RateLimit).toBe('"key";r=2;t=1')
})

test("a key's limit is in force at every worker soon after it was published, and so is its end", async () => {
  const redis = await limits.client()
  const publisher = new DirectoryPublisher(redis)
  const tenant = makeTenant('throttled', { quotas: { ...UNLIMITED, requests_per_second: 500 } })
  const publish = async (version: number, rateLimit: number | null) => {
    const keys = tenant.snapshot.keys.map((key) => (key.kind === 'anon' ? { ...key, rate_limit: rateLimit } : key))
    const snapshot: TenantSnapshot = { ...tenant.snapshot, version, keys }
    await publisher.publish('tenant', 'throttled', version, JSON.stringify(snapshot))
  }
  await publish(1, null)
  await publisher.markComplete()
  const backend = new StubUpstream('from-gateway')
  const gateway = await GatewayProcess.start({
    AERODB_REDIS_URL: limits.url,
    AERODB_BACKEND_URLS: await backend.start(),
  })
  try {
    const burst = (apikey: string): Promise<Answer[]> =>
      Promise.all(
        Array.from({ length: 40 }, () => gateway.ask('throttled.localhost', '/rest/v1/t', { headers: { apikey } })),
      )
    const served = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 200).length
    expect(served(await burst(tenant.anonKey))).toBe(40)
    await publish(2, 5)
    const policies = (answers: readonly Answer[]) => [
      ...new Set(answers.map(({ headers }) => headers['ratelimit-policy'])),
    ]
    const inForce = (policy: string) =>
      vi.waitFor(async () => expect(policies(await burst(tenant.anonKey))).toEqual([policy]), 5_000)
    await inForce('"second";q=500;w=1, "key";q=5;w=1')
    await sleep(1_000)
    const startedMs = performance.now()
    const limited = await burst(tenant.anonKey)
    // On a machine that stood still the forty fell into more than one second.
    expect(served(limited)).toBeLessThanOrEqual(5 * (1 + Math.ceil((performance.now() - startedMs) / 1_000 - 1)))
    expect(served(limited)).toBeGreaterThan(0)
    expect(limited.find(({ status }) => status === 429)?.headers).toMatchObject({
      'ratelimit-policy': '"second";q=500;w=1, "key";q=5;w=1',
      'retry-after': '1',
    })
    expect(served(await burst(tenant.serviceKey))).toBe(40)
    await publish(3, null)
    await inForce('"second";q=500;w=1')
    expect(served(await burst(tenant.anonKey))).toBe(40)
  } finally {
    await gateway.stop()
    await backend.stop()
  }
})
