import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { findServerOn } from '../../runtime/postgres-server.ts'
import type { Isolation } from '../../tenancy/plan.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import { clusterName } from '../provisioners/cluster/cluster-parts.ts'
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

/** The data directories of a tenant's own servers. */
function directoriesOf(tenantId: string, isolation: Isolation): string[] {
  const root = `${survivor.config.AERODB_DATA_DIR}/tenants`
  if (isolation === 'schema') return []
  if (isolation === 'database') return [`${root}/${tenantId}`]
  return [1, 2, 3].map((node) => `${root}/${clusterName(tenantId)}-${node}`)
}

const POINTS = [
  ['create:place', 'schema', 'free'],
  ['create:provision', 'schema', 'free'],
  ['create:succeed', 'schema', 'free'],
  ['create:place', 'database', 'pro'],
  ['create:place+300', 'database', 'pro'],
  ['create:provision', 'database', 'pro'],
  ['create:place', 'cluster', 'enterprise'],
  ['create:place+500', 'cluster', 'enterprise'],
  ['create:place+1000', 'cluster', 'enterprise'],
  ['create:place+1500', 'cluster', 'enterprise'],
  ['create:provision', 'cluster', 'enterprise'],
] as const

test.each(POINTS)(
  'killed after %s (%s): the other replica finishes, and a repeated request shows the keys',
  async (point, isolation, plan) => {
    const { child, url } = await startDoomed(point)
    const exited = once(child, 'exit')
    const body = { name: `killed-${++counter}`, isolation, plan }
    const headers = { 'idempotency-key': `kill-${counter}` }
    const answer = await makeCaller(url, survivor.ownerKey)('POST', '/v1/tenants', { body, headers }).catch(
      () => undefined,
    )
    // On a quick machine a create may be done when the time is over.
    if (!point.includes('+')) expect(answer).toBeUndefined()
    expect((await exited)[1]).toBe('SIGKILL')
    const created = await eventually(async () => {
      const again = await survivor.call('POST', '/v1/tenants', { body, headers })
      expect(again.status).toBe(201)
      return again.body
    })
    expect(created).toMatchObject({ status: 'active', isolation, keys: { anon: expect.any(String) } })
    const listed = await survivor.call('GET', `/v1/tenants?name=${body.name}`)
    expect(listed.body.data).toHaveLength(1)
    for (const directory of directoriesOf(created.tenant_id, isolation))
      expect(await findServerOn(directory)).toBeDefined()
  },
)

test.each([
  ['delete:retire', 'schema', 'free'],
  ['purge:remove', 'schema', 'free'],
  ['purge:remove', 'database', 'pro'],
  ['purge:remove', 'cluster', 'enterprise'],
  ['purge:remove files+100', 'cluster', 'enterprise'],
] as const)('killed after %s (%s): the other replica ends it', async (point, isolation, plan) => {
  const created = await survivor.call('POST', '/v1/tenants', { body: { name: `killed-${++counter}`, isolation, plan } })
  expect(created.status).toBe(201)
  const path = `/v1/tenants/${created.body.tenant_id}`
  const { child, url } = await startDoomed(point)
  const exited = once(child, 'exit')
  const isPurge = point.startsWith('purge')
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
    for (const directory of directoriesOf(created.body.tenant_id, isolation)) {
      expect(await findServerOn(directory)).toBeUndefined()
      expect(existsSync(directory)).toBe(false)
    }
  }
})

test.each([
  ['restore:provision', 'schema', 'free'],
  ['restore:provision', 'database', 'pro'],
  ['restore:provision', 'cluster', 'enterprise'],
] as const)('killed after %s (%s): the other replica brings it back', async (point, isolation, plan) => {
  const created = await survivor.call('POST', '/v1/tenants', { body: { name: `killed-${++counter}`, isolation, plan } })
  expect(created.status).toBe(201)
  const path = `/v1/tenants/${created.body.tenant_id}`
  const status = async () => (await survivor.call('GET', path)).body.status
  expect((await survivor.call('DELETE', path)).status).toBe(202)
  await eventually(async () => expect(await status()).toBe('deleted'))
  const { child, url } = await startDoomed(point)
  const exited = once(child, 'exit')
  await makeCaller(url, survivor.ownerKey)('POST', `${path}/restore`).catch(() => {})
  expect((await exited)[1]).toBe('SIGKILL')
  await eventually(async () => expect(await status()).toBe('active'))
  for (const directory of directoriesOf(created.body.tenant_id, isolation))
    expect(await findServerOn(directory)).toBeDefined()
})
