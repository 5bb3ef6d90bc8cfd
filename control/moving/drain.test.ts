import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findFreePort } from '../../runtime/free-port.ts'
import { PostgresServer } from '../../runtime/postgres-server.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import { eventually } from '../testing/eventually.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World, withClient } from '../testing/world.ts'

/*
 * A server of the shared tier is emptied while its tenants serve. (That no request fails and no row is lost on the way is
 * told of every move in test/acceptance/move.test.ts.)
 */

let world: World
let control: TestControl
let second: PostgresServer
let directory: string

beforeAll(async () => {
  world = await startWorld()
  directory = await mkdtemp(join(tmpdir(), 'aerodb-drain-'))
  await chmod(directory, 0o711)
  second = new PostgresServer({
    directory: join(directory, 'postgres'),
    port: await findFreePort(),
    password: 'test',
    settings: { fsync: 'off', shared_buffers: '16MB', wal_level: 'logical' },
  })
  await second.start()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl, second.url()],
    redisUrl: world.redis.url,
    dependencies: { moveGraceMs: 100 },
  })
})

afterAll(async () => {
  await control.stop()
  await second.stop()
  await world.stop()
  await rm(directory, { recursive: true, force: true })
})

async function placeOf(tenantId: string): Promise<string> {
  return withClient(world.databaseUrl, async (client) => {
    const found = await client.query<{ server: string }>('select server from control.tenants where tenant_id = $1', [
      tenantId,
    ])
    return found.rows[0]?.server ?? ''
  })
}

async function readServers(): Promise<Record<string, number>> {
  const { body } = await control.call('GET', '/v1/servers')
  return Object.fromEntries(body.data.map((one: { server: string; tenants: number }) => [one.server, one.tenants]))
}

test('new tenants are spread over the servers; a drained server is left by all of its own and taken by none', async () => {
  const ids: string[] = []
  for (let i = 0; i < 6; i++) {
    const created = await control.call('POST', '/v1/tenants', { body: { name: `spread-${i}`, plan: 'pro' } })
    expect(created.status).toBe(201)
    ids.push(created.body.tenant_id)
  }
  expect(await readServers()).toEqual({ 'shared-0': 3, 'shared-1': 3 })
  // A suspended one goes as it is.
  const suspended = (await Promise.all(ids.map(placeOf))).indexOf('shared-0')
  const suspendedId = ids[suspended] ?? ''
  await control.call('PATCH', `/v1/tenants/${suspendedId}`, { body: { status: 'suspended' } })

  const drained = await control.call('PATCH', '/v1/servers/shared-0', { body: { draining: true } })
  expect(drained).toMatchObject({ status: 200, body: { server: 'shared-0', draining: true } })
  await eventually(async () => expect(await readServers()).toEqual({ 'shared-0': 0, 'shared-1': 6 }), 60_000)
  await eventually(async () => {
    for (const id of ids) {
      const { body } = await control.call('GET', `/v1/tenants/${id}`)
      expect(body).toMatchObject({ status: id === suspendedId ? 'suspended' : 'active', isolation: 'schema' })
    }
  })
  const schemas = ids.map(tenantSchemaName)
  const left = await withClient(world.sharedUrl, (client) =>
    client.query('select nspname from pg_namespace where nspname = any($1)', [schemas]),
  )
  expect(left.rows).toEqual([])
  const late = await control.call('POST', '/v1/tenants', { body: { name: 'late', plan: 'free' } })
  expect(await placeOf(late.body.tenant_id)).toBe('shared-1')

  const back = await control.call('PATCH', '/v1/servers/shared-0', { body: { draining: false } })
  expect(back.body).toMatchObject({ draining: false })
  const next = await control.call('POST', '/v1/tenants', { body: { name: 'next', plan: 'free' } })
  expect(await placeOf(next.body.tenant_id)).toBe('shared-0')
})

test('where every server is drained a create is refused at once, and the name stays free', async () => {
  for (const server of ['shared-0', 'shared-1'])
    await control.call('PATCH', `/v1/servers/${server}`, { body: { draining: true } })
  const refused = await control.call('POST', '/v1/tenants', { body: { name: 'no-room', plan: 'free' } })
  expect(refused).toMatchObject({ status: 503, body: { code: 'no_capacity' } })
  for (const server of ['shared-0', 'shared-1'])
    await control.call('PATCH', `/v1/servers/${server}`, { body: { draining: false } })
  expect((await control.call('POST', '/v1/tenants', { body: { name: 'no-room', plan: 'free' } })).status).toBe(201)
})

test('a server that is not there is 404, and what is not a patch is named', async () => {
  expect((await control.call('PATCH', '/v1/servers/shared-9', { body: { draining: true } })).status).toBe(404)
  const refused = await control.call('PATCH', '/v1/servers/shared-0', { body: { draining: 'yes' } })
  expect(refused).toMatchObject({ status: 400, body: { errors: [{ path: 'draining' }] } })
})
