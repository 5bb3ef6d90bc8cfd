import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World, withClient } from '../testing/world.ts'
import { SHOWN_DAYS } from './days.ts'

let world: World
let control: TestControl

beforeAll(async () => {
  world = await startWorld()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
  })
})

afterAll(async () => {
  await control.stop()
  await world.stop()
})

const query = (sql: string, values: unknown[] = []) =>
  withClient(world.databaseUrl, (client) => client.query(sql, values))
const anybody = (path: string) => control.call('GET', path, { key: null })
const create = async (name: string) => {
  const created = await control.call('POST', '/v1/tenants', { body: { name } })
  expect(created.status).toBe(201)
  return String(created.body.tenant_id)
}
/** Somebody has looked until now, and the tenant was to be served for `days`. */
async function observe(tenantId: string, days: number): Promise<void> {
  await query(
    `insert into control.observation (observed_until) values (now()) on conflict (one_row) do update set observed_until = now()`,
  )
  await query(
    `update control.serving_segments set started_at = now() - make_interval(days => $2) where tenant_id = $1`,
    [tenantId, days],
  )
}

test("a tenant's page is closed until it is opened, and not told from one of nobody", async () => {
  const tenantId = await create('shy')
  const closed = await anybody('/v1/status/shy')
  const unknown = await anybody('/v1/status/nobody')
  const strip = ({ status, body }: typeof closed) => ({ ...body, status, instance: '', request_id: '' })
  expect(closed.status).toBe(404)
  expect(strip(closed)).toEqual(strip(unknown))
  expect((await anybody('/status/shy')).status).toBe(404)
  const patched = await control.call('PATCH', `/v1/tenants/${tenantId}`, { body: { public_status: true } })
  expect(patched.body.public_status).toBe(true)
  await observe(tenantId, 1)
  expect((await anybody('/v1/status/shy')).body).toMatchObject({ tenant: 'shy', status: 'operational', incidents: [] })
  await control.call('PATCH', `/v1/tenants/${tenantId}`, { body: { public_status: false } })
  expect((await anybody('/v1/status/shy')).status).toBe(404)
})

test('an outage shows with its length while it lasts and after, without what only its owner may know', async () => {
  const tenantId = await create('open')
  await control.call('PATCH', `/v1/tenants/${tenantId}`, { body: { public_status: true } })
  await observe(tenantId, 10)
  await query(
    `insert into control.incidents (incident_id, tenant_id, cause, detail, scope, started_at, ended_at) values
       ('inc_old', $1, 'database_away', 'secret server name', 'x', date_trunc('day', now()) - interval '3 days', date_trunc('day', now()) - interval '3 days' + interval '1 hour'),
       ('inc_now', $1, 'database_away', 'secret server name', 'x', now() - interval '30 seconds', null)`,
    [tenantId],
  )
  const { body } = await anybody('/v1/status/open')
  expect(body.status).toBe('major_outage')
  expect(body.days).toHaveLength(SHOWN_DAYS)
  expect(body.days.at(-4)).toMatchObject({ downtime_seconds: 3_600, uptime: 0.958333 })
  expect(body.days[0].uptime).toBeNull()
  expect(body.incidents).toMatchObject([{ ended_at: null }, { duration_seconds: 3_600 }])
  const page = await anybody('/status/open')
  expect(JSON.stringify([body, page.body])).not.toContain('secret')
  const platform = (await anybody('/v1/status')).body
  expect(platform.status).toBe('major_outage')
  expect(JSON.stringify(platform)).not.toContain('open')
  await query(`update control.incidents set ended_at = now() where ended_at is null`)
  expect((await anybody('/v1/status/open')).body.status).toBe('operational')
  expect((await anybody('/v1/status')).body).toMatchObject({ tenant: null, status: 'operational' })
  expect((await anybody('/v1/status')).body.days.at(-4).downtime_seconds).toBe(3_600)
})

test('maintenance shows, and what an operator wrote is text, not markup', async () => {
  const tenantId = await create('careful')
  await control.call('PATCH', `/v1/tenants/${tenantId}`, { body: { public_status: true } })
  await observe(tenantId, 1)
  await query(
    `insert into control.maintenance_windows (window_id, tenant_id, starts_at, ends_at, reason)
     values ('mnt_1', $1, now() - interval '1 minute', now() + interval '1 hour', '<script>alert(1)</script>')`,
    [tenantId],
  )
  expect((await anybody('/v1/status/careful')).body.status).toBe('under_maintenance')
  const response = await fetch(`${control.url}/status/careful`)
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
  expect(response.headers.get('content-type')).toContain('text/html')
  const page = await response.text()
  expect(page).toContain('Under maintenance')
  expect(page).toContain('&lt;script&gt;')
  expect(page).not.toContain('<script')
  expect((await anybody('/v1/status')).body.maintenance).toEqual([])
})

test('a platform that nobody looks at says that it does not know', async () => {
  await query(`update control.observation set observed_until = now() - interval '10 minutes'`)
  expect((await anybody('/v1/status')).body.status).toBe('unknown')
})
