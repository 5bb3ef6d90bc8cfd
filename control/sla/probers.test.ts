import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { makeLogger } from '../../runtime/log.ts'
import { makePostgresPool, type PostgresPool } from '../../runtime/postgres-pool.ts'
import { type Change, makeChange } from '../stores/change.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World } from '../testing/world.ts'
import { beatProber, judgeViews, type OutageView, retireProber, saveViews } from './outage-store.ts'

/*
 * Several probers over one set of tables: what each of them tells is told by the test, what comes of it is real.
 */

let world: World
let control: TestControl
let pool: PostgresPool
let tenantId: string
let counter = 0
const START_MS = Date.now()

beforeAll(async () => {
  world = await startWorld()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
  })
  pool = makePostgresPool({
    url: world.databaseUrl,
    applicationName: 'test',
    maxConnections: 4,
    log: makeLogger('test', 'silent'),
  })
})

afterAll(async () => {
  await pool.end()
  await control.stop()
  await world.stop()
})

beforeEach(async () => {
  const created = await control.call('POST', '/v1/tenants', { body: { name: `watched-${++counter}` } })
  tenantId = created.body.tenant_id
  await pool.query('delete from control.outage_views')
  await pool.query('delete from control.probers')
})

const at = (seconds: number) => START_MS + seconds * 1_000
const change = <Result>(work: (change: Change) => Promise<Result>) => makeChange(pool, async () => {}, work)

/** A prober beats, tells what it sees, and judges, as it does each second. */
function tell(proberId: string, atSeconds: number, views: Partial<OutageView>[] = [], answering: number[] = []) {
  return change(async (tx) => {
    await beatProber(tx, proberId, START_MS, at(atSeconds))
    await saveViews(
      tx,
      proberId,
      views.map((view) => ({ tenantId, sinceMs: at(0), untilMs: null, cause: 'database', detail: 'away', ...view })),
    )
    return judgeViews(
      tx,
      answering.map((seconds) => ({ tenantId, atMs: at(seconds) })),
      at(atSeconds),
    )
  })
}

async function incidents() {
  const { rows } = await pool.query<{ started_at: Date; ended_at: Date | null }>(
    'select started_at, ended_at from control.incidents where tenant_id = $1 order by started_at',
    [tenantId],
  )
  return rows.map(({ started_at, ended_at }) => [
    (started_at.getTime() - START_MS) / 1_000,
    ended_at === null ? null : (ended_at.getTime() - START_MS) / 1_000,
  ])
}

test('what only one of two probers sees is no incident; what both see is one, from when the first saw it', async () => {
  await tell('a', 0)
  await tell('b', 0)
  await tell('a', 11, [{ sinceMs: at(10) }])
  await tell('b', 11)
  expect(await incidents()).toEqual([])
  await tell('b', 13, [{ sinceMs: at(12) }])
  expect(await incidents()).toEqual([[10, null]])
  expect((await pool.query('select down_since from control.tenants where tenant_id = $1', [tenantId])).rows).toEqual([
    { down_since: new Date(at(10)) },
  ])
  // It ends when the first of them is answered again, though the other does not know yet.
  await tell('b', 21, [{ sinceMs: at(12), untilMs: at(20) }])
  expect(await incidents()).toEqual([[10, 20]])
  await tell('a', 22, [{ sinceMs: at(10), untilMs: at(22) }])
  expect(await incidents()).toEqual([[10, 20]])
})

test('two views that never met are no agreement', async () => {
  await tell('a', 0)
  await tell('b', 0)
  await tell('a', 15, [{ sinceMs: at(10), untilMs: at(14) }])
  await tell('b', 25, [{ sinceMs: at(20), untilMs: at(24) }])
  expect(await incidents()).toEqual([])
})

test('when one of two probers dies the other decides alone', async () => {
  await tell('a', 0)
  await tell('b', 0)
  await tell('a', 11, [{ sinceMs: at(10) }])
  expect(await incidents()).toEqual([])
  await retireProber(pool, 'b')
  await tell('a', 12)
  expect(await incidents()).toEqual([[10, null]])
})

test('a prober that comes up during an incident does not end it before it has looked itself', async () => {
  await tell('a', 11, [{ sinceMs: at(10) }])
  expect(await incidents()).toEqual([[10, null]])
  await tell('b', 12)
  await tell('a', 13)
  expect(await incidents()).toEqual([[10, null]])
  await tell('a', 31, [{ sinceMs: at(10), untilMs: at(30) }], [30])
  expect(await incidents()).toEqual([[10, 30]])
})

test('an outage that was only told when it was over is written with its end', async () => {
  await tell('a', 0)
  await tell('b', 0)
  await tell('a', 60, [{ sinceMs: at(10), untilMs: at(40) }])
  await tell('b', 61, [{ sinceMs: at(12), untilMs: at(41) }])
  expect(await incidents()).toEqual([[10, 40]])
})

test('an incident whose probers were all restarted ends with the first answer that a new one gets', async () => {
  await tell('a', 11, [{ sinceMs: at(10) }])
  await retireProber(pool, 'a')
  await tell('c', 50, [], [49])
  expect(await incidents()).toEqual([[10, 49]])
})

test('a tenant that is not to be served any more has no incident', async () => {
  await tell('a', 11, [{ sinceMs: at(10) }])
  expect((await control.call('PATCH', `/v1/tenants/${tenantId}`, { body: { status: 'suspended' } })).status).toBe(200)
  await tell('a', 15)
  expect(await incidents()).toEqual([[10, 15]])
})

test('two replicas that judge at once open one incident', async () => {
  await tell('a', 0)
  await tell('b', 0)
  await Promise.all(Array.from({ length: 6 }, (_, i) => tell(i % 2 === 0 ? 'a' : 'b', 11, [{ sinceMs: at(10) }])))
  expect(await incidents()).toEqual([[10, null]])
})

test('the time in which nobody looked is a gap, told once', async () => {
  await pool.query('delete from control.observation')
  await pool.query('delete from control.observation_gaps')
  const beat = (proberId: string, since: number, now: number) =>
    change((tx) => beatProber(tx, proberId, at(since), at(now)))
  await beat('a', 0, 10)
  await Promise.all([beat('a', 100, 101), beat('b', 100, 101)])
  const { rows } = await pool.query<{ from: number; until: number }>(
    `select extract(epoch from started_at)::float8 * 1000 as from, extract(epoch from ended_at)::float8 * 1000 as until
     from control.observation_gaps where started_at > 'epoch'`,
  )
  expect(rows).toEqual([{ from: at(10), until: at(100) }])
})
