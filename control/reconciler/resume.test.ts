import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../testing/eventually.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World, withClient } from '../testing/world.ts'

let world: World
let control: TestControl
/** The step after which the next attempt is cut off. */
let faultAfter: string | undefined
let counter = 0

beforeAll(async () => {
  world = await startWorld()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
    dependencies: {
      afterStep: (point) => {
        if (point !== faultAfter) return
        faultAfter = undefined
        throw new Error(`cut off after ${point}`)
      },
    },
  })
})

afterAll(async () => {
  await control.stop()
  await world.stop()
})

const POINTS = ['create:place', 'create:provision', 'create:succeed'] as const

test.each(POINTS)('a create that is cut off after %s ends with one serving tenant', async (point) => {
  faultAfter = point
  const created = await control.call('POST', '/v1/tenants', { body: { name: `cut-${++counter}` } })
  expect(faultAfter).toBeUndefined()
  expect(created).toMatchObject({ status: 201, body: { status: 'active' } })
  expect(await placesTaken()).toBe(await livingOnServers())
})

test.each(['delete:retire', 'purge:remove'] as const)('an operation that is cut off after %s ends', async (point) => {
  const created = await control.call('POST', '/v1/tenants', { body: { name: `cut-${++counter}` } })
  faultAfter = point
  const path = `/v1/tenants/${created.body.tenant_id}`
  const ending = await control.call('DELETE', point === 'purge:remove' ? `${path}?purge=true` : path)
  await eventually(async () =>
    expect((await control.call('GET', `/v1/operations/${ending.body.operation_id}`)).body.status).toBe('succeeded'),
  )
  expect(await placesTaken()).toBe(await livingOnServers())
})

test('an operation whose process died is taken over by another', async () => {
  const created = await control.call('POST', '/v1/tenants', { body: { name: `cut-${++counter}` } })
  const operationId = 'op_abandoned'
  await withClient(world.databaseUrl, async (client) => {
    await client.query(
      `update control.tenants set status = 'deleting', status_before_delete = 'active' where tenant_id = $1`,
      [created.body.tenant_id],
    )
    // As a process leaves it that was killed with the operation in its hands.
    await client.query(
      `insert into control.operations (operation_id, tenant_id, kind, lease_owner, lease_until, deadline_at, created_at)
       values ($1, $2, 'delete', 'dead', now() - interval '1 second', now() + interval '1 minute', now() - interval '1 minute')`,
      [operationId, created.body.tenant_id],
    )
  })
  await eventually(async () =>
    expect((await control.call('GET', `/v1/operations/${operationId}`)).body.status).toBe('succeeded'),
  )
})

test('an operation past its deadline ends as failed, with its leftovers removed and the name free', async () => {
  const created = await control.call('POST', '/v1/tenants', { body: { name: `late-${++counter}` } })
  const operationId = 'op_late'
  await withClient(world.databaseUrl, async (client) => {
    await client.query(`update control.tenants set status = 'provisioning' where tenant_id = $1`, [
      created.body.tenant_id,
    ])
    await client.query(
      `insert into control.operations (operation_id, tenant_id, kind, deadline_at, created_at)
       values ($1, $2, 'create', now() - interval '1 second', now() - interval '1 minute')`,
      [operationId, created.body.tenant_id],
    )
  })
  await eventually(async () =>
    expect((await control.call('GET', `/v1/operations/${operationId}`)).body).toMatchObject({
      status: 'failed',
      error: { code: 'deadline_exceeded' },
    }),
  )
  expect((await control.call('GET', `/v1/tenants/${created.body.tenant_id}`)).body.status).toBe('failed')
  const schema = `t_${created.body.tenant_id.slice(4)}`
  const left = await withClient(world.sharedUrl, (client) =>
    client.query('select 1 from pg_namespace where nspname = $1', [schema]),
  )
  expect(left.rowCount).toBe(0)
  expect((await control.call('POST', '/v1/tenants', { body: { name: created.body.name } })).status).toBe(201)
  expect(await placesTaken()).toBe(await livingOnServers())
})

test('a tenant whose retention is over is purged by itself', async () => {
  const created = await control.call('POST', '/v1/tenants', { body: { name: `kept-${++counter}` } })
  const path = `/v1/tenants/${created.body.tenant_id}`
  const deleted = await control.call('DELETE', path)
  await eventually(async () =>
    expect((await control.call('GET', `/v1/operations/${deleted.body.operation_id}`)).body.status).toBe('succeeded'),
  )
  await withClient(world.databaseUrl, (client) =>
    client.query(`update control.tenants set purge_after = now() - interval '1 second' where tenant_id = $1`, [
      created.body.tenant_id,
    ]),
  )
  await eventually(async () => expect((await control.call('GET', path)).status).toBe(404))
})

async function placesTaken(): Promise<number> {
  const result = await withClient(world.databaseUrl, (client) =>
    client.query<{ sum: number }>('select coalesce(sum(tenant_count), 0)::int as sum from control.servers'),
  )
  return result.rows[0]?.sum ?? 0
}

async function livingOnServers(): Promise<number> {
  const result = await withClient(world.databaseUrl, (client) =>
    client.query<{ count: number }>('select count(server)::int as count from control.tenants'),
  )
  return result.rows[0]?.count ?? 0
}
