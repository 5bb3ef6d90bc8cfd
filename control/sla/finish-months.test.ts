import { afterAll, beforeAll, expect, test } from 'vitest'
import { ManualClock } from '../../runtime/clock.ts'
import { makeLogger } from '../../runtime/log.ts'
import { makePostgresPool, type PostgresPool } from '../../runtime/postgres-pool.ts'
import { Problem } from '../../runtime/problem.ts'
import { loadPlanCatalogue } from '../../tenancy/plan.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World } from '../testing/world.ts'
import { finishMonths, tellCredits } from './finish-months.ts'

let world: World
let control: TestControl
let pool: PostgresPool
const catalogue = loadPlanCatalogue()
/** Long over: nothing that the running control does reaches it. */
const MONTH = '2026-02'
const AFTER_GRACE = Date.UTC(2026, 2, 1, 1, 0, 1)
const DOWN_SECONDS = 7_200

beforeAll(async () => {
  world = await startWorld()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
  })
  const log = makeLogger('test', 'silent')
  pool = makePostgresPool({ url: world.databaseUrl, applicationName: 'test', maxConnections: 4, log })
})

afterAll(async () => {
  await pool.end()
  await control.stop()
  await world.stop()
})

/** A tenant that was served all of February, and was down for two hours on its tenth. */
async function createServed(name: string, plan: string): Promise<string> {
  const created = await control.call('POST', '/v1/tenants', { body: { name, plan } })
  const tenantId = String(created.body.tenant_id)
  for (const table of ['serving_segments', 'plan_segments'])
    await pool.query(`update control.${table} set started_at = '2026-01-15Z' where tenant_id = $1`, [tenantId])
  await pool.query(
    `insert into control.incidents (incident_id, tenant_id, cause, detail, scope, started_at, ended_at)
     values ($2, $1, 'database', 'away', 'x', '2026-02-10 10:00Z', '2026-02-10 12:00Z')`,
    [tenantId, `inc_${name}`],
  )
  return tenantId
}

const finishAt = (ms: number) => finishMonths({ pool, catalogue, clock: new ManualClock(ms) })
const readMonth = async (tenantId: string) => (await control.call('GET', `/v1/tenants/${tenantId}/sla/${MONTH}`)).body

test('a month is final an hour after its end, by its plan, and its credit reaches the invoice once', async () => {
  const [free, pro, enterprise] = [
    await createServed('free', 'free'),
    await createServed('pro', 'pro'),
    await createServed('enterprise', 'enterprise'),
  ]
  await finishAt(AFTER_GRACE - 2_000)
  expect((await readMonth(pro)).final).toBe(false)
  await Promise.all([finishAt(AFTER_GRACE), finishAt(AFTER_GRACE)])
  expect(await readMonth(free)).toMatchObject({ final: true, met: null, credit: { amount_micros: 0, status: 'none' } })
  const report = await readMonth(pro)
  expect(report).toMatchObject({
    final: true,
    met: false,
    downtime_seconds: DOWN_SECONDS,
    measured_seconds: 28 * 86_400,
    uptime: 0.997023,
    credit: { status: 'pending' },
  })
  expect(report.credit.amount_micros).toBeGreaterThan(0)
  expect((await readMonth(enterprise)).credit.percent).toBeGreaterThan(report.credit.percent)

  // A fake: metering takes a credit by its key, once, as metering/credits does.
  const told: [string, unknown][] = []
  let isAway = true
  const metering = {
    send: async (_method: string, path: string, body: unknown) => {
      if (isAway) throw new Problem(503, 'metering_unavailable')
      told.push([path, body])
    },
  } as unknown as Parameters<typeof tellCredits>[0]['metering']
  const clock = new ManualClock(AFTER_GRACE)
  await expect(tellCredits({ pool, metering, clock })).rejects.toThrow()
  expect((await readMonth(pro)).credit.status).toBe('pending')
  isAway = false
  await tellCredits({ pool, metering, clock })
  await tellCredits({ pool, metering, clock })
  expect(told.map(([path]) => path).toSorted()).toEqual(
    [pro, enterprise].map((tenantId) => `/internal/v1/tenants/${tenantId}/credits/sla:${MONTH}`).toSorted(),
  )
  expect(told.find(([path]) => path.includes(pro))?.[1]).toMatchObject({ amount_micros: report.credit.amount_micros })
  expect((await readMonth(pro)).credit.status).toBe('handed_over')
})

test('what is final stays as it was written, whatever is changed behind it', async () => {
  const tenantId = await createServed('steady', 'pro')
  await finishAt(AFTER_GRACE)
  const before = await readMonth(tenantId)
  await pool.query('delete from control.incidents where tenant_id = $1', [tenantId])
  await finishAt(AFTER_GRACE + 86_400_000)
  expect(await readMonth(tenantId)).toEqual(before)
})
