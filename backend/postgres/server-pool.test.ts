import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { makeLogger } from '../../runtime/log.ts'
import { TenantDatabase } from '../test-support/tenant-database.ts'
import { PreparedStatements } from './prepared-statements.ts'
import { ServerPool, type ServerPoolOptions } from './server-pool.ts'

let database: TenantDatabase
const pools: ServerPool[] = []

beforeAll(async () => {
  database = await TenantDatabase.create()
})

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()))
})

afterAll(() => database?.drop())

function makePool(overrides: Partial<ServerPoolOptions> = {}): ServerPool {
  const { host, port, database: name, request_login } = database.record
  const pool = new ServerPool({
    server: 'shared-0',
    target: { host, port, database: name, user: request_login.user, password: 'secret' },
    applicationName: 'pool-test',
    statementTimeoutMs: 5_000,
    maxPreparedStatements: 10,
    maxConnections: 2,
    maxInFlightPerConnection: 2,
    slowHeadMs: 20,
    maxInFlightPerTag: 3,
    maxWaiting: 20,
    maxWaitMs: 10_000,
    idleConnectionMs: 60_000,
    maxConnectionAgeMs: 600_000,
    log: makeLogger('test', 'silent'),
    ...overrides,
  })
  pools.push(pool)
  return pool
}

const select = (text: string) => [{ text: `select ${text}`, values: [] }]

test('jobs run on a bounded number of connections, and each gets its own answer', async () => {
  const pool = makePool({ maxWaiting: 1_000 })
  const outcomes = await Promise.all(Array.from({ length: 200 }, (_, i) => pool.run(`t${i % 7}`, select(`'${i}'`))))
  expect(outcomes.map((outcome) => outcome.rows[0]?.[0])).toEqual(Array.from({ length: 200 }, (_, i) => String(i)))
  expect(pool.connectionCount).toBeLessThanOrEqual(2)
  expect(pool.isIdle).toBe(true)
})

test('one tenant’s burst does not hold up another’s first request', async () => {
  const pool = makePool({ maxWaiting: 100 })
  const finished: string[] = []
  const burst = Array.from({ length: 40 }, () =>
    pool.run('noisy', select('pg_sleep(0.01)')).then(() => finished.push('noisy')),
  )
  const quiet = pool.run('quiet', select('1')).then(() => finished.push('quiet'))
  await Promise.all([...burst, quiet])
  expect(finished.indexOf('quiet')).toBeLessThan(10)
})

test('a full queue refuses by name at once', async () => {
  const pool = makePool({ maxWaiting: 5 })
  const settled = await Promise.allSettled(Array.from({ length: 30 }, () => pool.run('t', select('pg_sleep(0.01)'))))
  const refused = settled.filter((one) => one.status === 'rejected')
  expect(refused.length).toBeGreaterThan(0)
  for (const one of refused) expect(one.reason).toMatchObject({ status: 503, code: 'database_busy' })
})

test('a connection that the server ends is replaced; what was in flight on it fails, what waits is served', async () => {
  const pool = makePool({ maxConnections: 1, maxInFlightPerConnection: 1 })
  await pool.run('t', select('1'))
  const sleeping = pool.run('t', select('pg_sleep(5)')).then(
    () => 'answered',
    () => 'failed',
  )
  const waiting = pool.run('u', select(`'still served'`))
  for (;;) {
    const ended = await database.asAdmin(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pool-test' and query like '%sleep(5)%'`,
    )
    if (ended.rowCount !== 0) break
  }
  expect(await sleeping).toBe('failed')
  expect((await waiting).rows).toEqual([['still served']])
})

test('a role that older sessions refuse, because they missed its grant, is tried on younger ones; one that all refuse is refused', async () => {
  const refuse = (condition: string) => ({
    text: `do $$ begin if ${condition} then
      raise exception 'permission denied to set role "x"' using errcode = '42501'; end if; end $$`,
    values: [],
  })
  const pool = makePool({ maxConnections: 4, maxInFlightPerConnection: 1 })
  const age = () => pool.run('t', select(`set_config('test.is_old', '1', false), pg_sleep(0.1)`))
  await Promise.all([age(), age(), age()])
  await pool.run('u', select('1'))
  const isOld = refuse(`current_setting('test.is_old', true) = '1'`)
  for (let i = 0; i < 5; i++)
    expect((await pool.run(`tenant-${i}`, [isOld, ...select(`'served'`)])).rows).toEqual([['served']])
  await expect(pool.run('t', [refuse('true')])).rejects.toMatchObject({ code: '42501' })
  expect((await pool.run('t', select(`'goes on'`))).rows).toEqual([['goes on']])
})

test('connections give their place to new ones when they are old, under load and without a failed job', async () => {
  const pool = makePool({ maxConnectionAgeMs: 1_200 })
  const backends = new Set<string>()
  const endMs = performance.now() + 5_000
  const work = async (tag: string) => {
    while (performance.now() < endMs)
      backends.add(String((await pool.run(tag, select('pg_backend_pid(), pg_sleep(0.005)'))).rows[0]?.[0]))
  }
  await Promise.all(['t', 'u', 'v'].map(work))
  expect(backends.size).toBeGreaterThan(3)
  expect(pool.connectionCount).toBe(2)
  await expect
    .poll(async () => {
      const open = await database.asAdmin(`select from pg_stat_activity where application_name = 'pool-test'`)
      return open.rowCount
    })
    .toBe(2)
})

test('a server that does not answer is a 503, not a hang', async () => {
  const { host, port } = database.record
  const pool = makePool({ target: { host, port, database: 'nowhere', user: 'nobody', password: 'wrong' } })
  await expect(pool.run('t', select('1'))).rejects.toMatchObject({ status: 503, code: 'database_unavailable' })
})

test('prepared statements: named on the second use, bounded, and never relied on before they are confirmed', () => {
  const prepared = new PreparedStatements(2)
  expect(prepared.use('a')).toEqual({ name: '', parse: true })
  expect(prepared.use('a')).toEqual({ name: 's1', parse: true })
  expect(prepared.use('a')).toEqual({ name: '', parse: true })
  prepared.confirm('a', 's1')
  expect(prepared.use('a')).toEqual({ name: 's1', parse: false })
  for (const text of ['b', 'b', 'c', 'c']) prepared.use(text)
  expect(prepared.takeClosing()).toEqual(['s1'])
  prepared.fail('c', 's3')
  expect(prepared.takeClosing()).toEqual(['s3'])
  expect(prepared.takeClosing()).toEqual([])
})
