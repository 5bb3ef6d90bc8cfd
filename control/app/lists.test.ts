import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TENANT_SORTS, type TenantSort } from '../stores/tenant-store.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World, withClient } from '../testing/world.ts'
import { encodeCursor } from './cursor.ts'

let world: World
let control: TestControl
const NAMES = ['zebra', 'acme', 'mango', 'berry', 'kiwi-1']

beforeAll(async () => {
  world = await startWorld()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
  })
  for (const [i, name] of NAMES.entries()) {
    const { body } = await control.call('POST', '/v1/tenants', { body: { name, plan: i % 2 === 0 ? 'pro' : 'free' } })
    await withClient(world.databaseUrl, (client) =>
      client.query(
        `insert into control.tenant_requests values ($1, to_char(now() at time zone 'UTC', 'YYYY-MM'), $2)`,
        [body.tenant_id, (i % 2) * 9_000_000_000],
      ),
    )
  }
})
afterAll(async () => {
  await control?.stop()
  await world?.stop()
})

type Listed = { name: string; plan: string; api_requests_this_month: number }

async function walk(query: string): Promise<Listed[]> {
  const rows: Listed[] = []
  let cursor = ''
  do {
    const { status, body } = await control.call('GET', `/v1/tenants?limit=2${query}${cursor}`)
    expect(status).toBe(200)
    rows.push(...body.data)
    cursor = body.next_cursor === null ? '' : `&cursor=${body.next_cursor}`
  } while (cursor !== '')
  return rows
}

test.each(TENANT_SORTS)('ordered by %s either way, the pages have each tenant once', async (sort: TenantSort) => {
  const [up, down] = [await walk(`&sort=${sort}&order=asc`), await walk(`&sort=${sort}&order=desc`)]
  expect(up.map(({ name }) => name).sort()).toEqual([...NAMES].sort())
  expect(down.map(({ name }) => name)).toEqual(up.map(({ name }) => name).toReversed())
})

test('names ascend and numbers descend by themselves; the total is told where it is asked for', async () => {
  expect((await walk('&sort=name')).map(({ name }) => name)).toEqual([...NAMES].sort())
  const byRequests = await walk('&sort=api_requests')
  expect(byRequests.map((one) => one.api_requests_this_month)).toEqual([9_000_000_000, 9_000_000_000, 0, 0, 0])
  const { body } = await control.call('GET', '/v1/tenants?limit=1&plan=pro&count=true')
  expect(body).toMatchObject({ total: 3, data: [{ plan: 'pro' }] })
  expect((await control.call('GET', '/v1/tenants?sort=color')).status).toBe(400)
})

test('a cursor of another order, or with a position of no page, is a bad request', async () => {
  const { body } = await control.call('GET', '/v1/tenants?limit=1&sort=name')
  expect((await control.call('GET', `/v1/tenants?sort=plan&cursor=${body.next_cursor}`)).status).toBe(400)
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...TENANT_SORTS), fc.oneof(fc.string(), fc.json()), async (sort, position) => {
      const cursor = encodeCursor(`tenants:${sort}:desc`, position)
      const answer = await control.call('GET', `/v1/tenants?sort=${sort}&order=desc&cursor=${cursor}`)
      expect(answer.status).toBe(400)
    }),
    { numRuns: 60 },
  )
})

test('a name is free, taken or against a rule', async () => {
  const check = async (name: string) => (await control.call('GET', `/v1/tenant-names/${name}`)).body
  expect(await check('quince')).toEqual({ name: 'quince', available: true, reasons: [] })
  expect(await check('acme')).toEqual({ name: 'acme', available: false, reasons: ['is taken by another tenant'] })
  expect(await check('control')).toMatchObject({ available: false, reasons: [expect.any(String)] })
  expect(await check('-bad-')).toMatchObject({ available: false, reasons: [expect.any(String)] })
})

test('operations are listed newest first, with their tenants; servers with their fill', async () => {
  const { body } = await control.call('GET', '/v1/operations?limit=2&kind=create')
  expect(body.data.map((one: { tenant_name: string }) => one.tenant_name)).toEqual(['kiwi-1', 'berry'])
  const next = await control.call('GET', `/v1/operations?limit=200&kind=create&cursor=${body.next_cursor}`)
  expect(next.body.data).toHaveLength(NAMES.length - 2)
  const servers = await control.call('GET', '/v1/servers')
  expect(servers.body.data).toMatchObject([{ tenants: NAMES.length, draining: false }])
})

test('the overview counts tenants, operations and alerts; deleted tenants under their status only', async () => {
  const { body: one } = await control.call('GET', '/v1/tenants?limit=1&search=mango')
  await control.call('DELETE', `/v1/tenants/${one.data[0].tenant_id}`)
  const overview = () => control.call('GET', '/v1/overview')
  await expect.poll(async () => (await overview()).body.tenants.by_status.deleted, { timeout: 10_000 }).toBe(1)
  const { status, body } = await overview()
  expect(status).toBe(200)
  const { tenants, operations, alerts } = body
  expect(tenants).toMatchObject({ total: 5, by_plan: { pro: 2, free: 2 }, by_isolation: { schema: 4 } })
  expect(Object.values<number>(tenants.by_status).reduce((sum, count) => sum + count, 0)).toBe(5)
  expect([operations.failed_last_day, alerts.open]).toEqual([expect.any(Number), expect.any(Number)])
  // Without metering behind it what only metering knows is a 503, and a range that is none is refused before.
  expect((await control.call('GET', '/v1/revenue')).status).toBe(503)
  expect((await control.call('GET', '/v1/usage-series?from=2026-01-01&to=yesterday')).status).toBe(400)
})
