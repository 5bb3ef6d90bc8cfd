import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ManualClock } from '../../runtime/clock.ts'
import { makeLogger } from '../../runtime/log.ts'
import { makePostgresPool, type PostgresPool } from '../../runtime/postgres-pool.ts'
import { eventually } from '../testing/eventually.ts'
import { startTestControl } from '../testing/start-control.ts'
import { startWorld, type World } from '../testing/world.ts'
import { ComputeMeter, factsOf, type RunningServers } from './compute-meter.ts'

const HOUR_MS = 3_600_000
let world: World
let pool: PostgresPool

beforeAll(async () => {
  world = await startWorld()
  pool = makePostgresPool({
    url: world.databaseUrl,
    applicationName: 'test',
    maxConnections: 4,
    log: makeLogger('test', 'silent'),
  })
})
afterAll(async () => {
  await pool.end()
  await world.stop()
})

async function measured(tenantId: string): Promise<number> {
  const { rows } = await pool.query<{ ms: string | null }>(
    'select sum(ran_ms)::text as ms from control.compute_facts where tenant_id = $1',
    [tenantId],
  )
  return Number(rows[0]?.ms ?? 0)
}

test('facts follow each other without gap or overlap, each within one hour, times the servers', () => {
  const at = fc.integer({ min: 0, max: 20 * HOUR_MS })
  fc.assert(
    fc.property(at, fc.array(at), fc.integer({ min: 1, max: 3 }), (startedAtMs, looks, servers) => {
      const running: RunningServers = { tenantId: 'ten_a', startedAtMs, servers }
      let until: number | undefined
      let sum = 0
      for (const nowMs of looks.toSorted((a, b) => a - b)) {
        const facts = factsOf(running, until, nowMs)
        for (const { endedAtMs, ranMs } of facts) {
          sum += ranMs
          expect(Math.floor((endedAtMs - ranMs / servers) / HOUR_MS)).toBe(Math.floor((endedAtMs - 1) / HOUR_MS))
          until = endedAtMs
        }
      }
      expect(sum).toBe(Math.max(0, (looks.length === 0 ? 0 : Math.max(...looks)) - startedAtMs) * servers)
    }),
  )
})

test("a tenant's own server is measured while it runs, to the moment it is paused, by one control or two", async () => {
  const control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
  })
  try {
    const created = await control.call('POST', '/v1/tenants', {
      body: { name: 'metered', isolation: 'database', plan: 'pro' },
    })
    const tenantId = created.body.tenant_id as string
    await eventually(async () => expect(await measured(tenantId)).toBeGreaterThan(0))
    expect(await control.started.sleep.pause(tenantId)).toBe(true)
    const total = await measured(tenantId)
    const { rows } = await pool.query(
      `select extract(epoch from measured_until)::float8 * 1000 as until from control.compute_measures where tenant_id = $1`,
      [tenantId],
    )
    expect(total).toBeLessThanOrEqual(rows[0].until - Date.parse(created.body.created_at) + 1_000)
    // Two that look at the same server at once, again and again: its time is its time.
    const clock = new ManualClock(Date.UTC(2030, 0, 1, 12))
    const startedAtMs = clock.nowMs()
    const source = {
      listRunning: async () => [{ tenantId: 'ten_two', startedAtMs, servers: 3 }],
      findRunning: async () => ({ tenantId: 'ten_two', startedAtMs, servers: 3 }),
    }
    const meters = [1, 2].map(() => new ComputeMeter({ pool, source, clock }))
    for (let i = 0; i < 20; i++) {
      clock.advance(7_777)
      await Promise.all(meters.flatMap((meter) => [meter.measureDue(), meter.measureNow('ten_two')]))
    }
    expect(await measured('ten_two')).toBe(20 * 7_777 * 3)
    const sequence = await pool.query(
      `select count(*)::int as n, min(sequence)::int as first, max(sequence)::int as last from control.compute_facts`,
    )
    expect(sequence.rows).toEqual([{ n: sequence.rows[0].last, first: 1, last: sequence.rows[0].last }])
  } finally {
    await control.stop()
  }
})
