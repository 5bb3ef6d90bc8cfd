import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { findServerOn } from '../../runtime/postgres-server.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import { eventually } from '../testing/eventually.ts'
import { makeCaller, startTestControl, type TestControl } from '../testing/start-control.ts'
import { startDoomedControl } from '../testing/start-doomed.ts'
import { startWorld, type World, withClient } from '../testing/world.ts'

/*
 * Two replicas over one set of tables and one data directory. The first is killed -9 after a step; the second finishes.
 */

// Each case starts a process and waits for a lease to run out.
vi.setConfig({ testTimeout: 120_000 })

let world: World
let survivor: TestControl
const children: ChildProcess[] = []
let counter = 0

beforeAll(async () => {
  world = await startWorld()
  survivor = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
    dependencies: { leaseSeconds: 2 },
  })
})

afterAll(async () => {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  await survivor.stop()
  await world.stop()
})

const startDoomed = (killAfter: string) => startDoomedControl(survivor, world, killAfter, children)

const POINTS = [
  ['create:place', 'schema', 'free'],
  ['create:provision', 'schema', 'free'],
  ['create:succeed', 'schema', 'free'],
  ['create:place', 'database', 'pro'],
  ['create:provision', 'database', 'pro'],
] as const

test.each(POINTS)(
  'killed after %s (%s): the other replica finishes, and a repeated request shows the keys',
  async (point, isolation, plan) => {
    const { child, url } = await startDoomed(point)
    const exited = once(child, 'exit')
    const body = { name: `killed-${++counter}`, isolation, plan }
    const headers = { 'idempotency-key': `kill-${counter}` }
    await expect(makeCaller(url, survivor.ownerKey)('POST', '/v1/tenants', { body, headers })).rejects.toThrow()
    expect((await exited)[1]).toBe('SIGKILL')
    const created = await eventually(async () => {
      const again = await survivor.call('POST', '/v1/tenants', { body, headers })
      expect(again.status).toBe(201)
      return again.body
    })
    expect(created).toMatchObject({ status: 'active', isolation, keys: { anon: expect.any(String) } })
    const listed = await survivor.call('GET', `/v1/tenants?name=${body.name}`)
    expect(listed.body.data).toHaveLength(1)
    if (isolation === 'database')
      expect(await findServerOn(`${survivor.config.AERODB_DATA_DIR}/tenants/${created.tenant_id}`)).toBeDefined()
  },
)

test.each([
  ['delete:retire', 'schema', 'free'],
  ['purge:remove', 'schema', 'free'],
  ['purge:remove', 'database', 'pro'],
] as const)('killed after %s (%s): the other replica ends it', async (point, isolation, plan) => {
  const created = await survivor.call('POST', '/v1/tenants', { body: { name: `killed-${++counter}`, isolation, plan } })
  expect(created.status).toBe(201)
  const path = `/v1/tenants/${created.body.tenant_id}`
  const { child, url } = await startDoomed(point)
  const exited = once(child, 'exit')
  const isPurge = point === 'purge:remove'
  await makeCaller(url, survivor.ownerKey)('DELETE', isPurge ? `${path}?purge=true` : path).catch(() => {})
  expect((await exited)[1]).toBe('SIGKILL')
  await eventually(async () => {
    const now = await survivor.call('GET', path)
    expect(isPurge ? now.status : now.body.status).toBe(isPurge ? 404 : 'deleted')
  })
  if (isPurge) {
    const left = await withClient(world.sharedUrl, (client) =>
      client.query('select 1 from pg_roles where rolname = $1', [tenantSchemaName(created.body.tenant_id)]),
    )
    expect(left.rowCount).toBe(0)
    expect(await findServerOn(`${survivor.config.AERODB_DATA_DIR}/tenants/${created.body.tenant_id}`)).toBeUndefined()
  }
})
