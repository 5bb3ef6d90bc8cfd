import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../../runtime/clock.ts'
import { findServerOn } from '../../../runtime/postgres-server.ts'
import { Sealer } from '../../../runtime/seal.ts'
import { SERVICE_TOKEN_HEADER, ServiceTokenCodec } from '../../../runtime/service-token.ts'
import { documentKey } from '../../../tenancy/directory-keys.ts'
import { PLATFORM_MARK } from '../../../tenancy/platform-statements.ts'
import { parseServerRecord } from '../../../tenancy/server-record.ts'
import { eventually } from '../../testing/eventually.ts'
import { startTestControl, TEST_SECRET, type TestControl } from '../../testing/start-control.ts'
import { startWorld, type World, withClient } from '../../testing/world.ts'

let world: World
let control: TestControl
let redis: Redis
let tenantId: string
let directory: string

beforeAll(async () => {
  world = await startWorld()
  control = await start()
  redis = new Redis(world.redis.url)
  const created = await control.call('POST', '/v1/tenants', {
    body: { name: 'own', isolation: 'database', plan: 'pro' },
  })
  expect(created).toMatchObject({ status: 201, body: { isolation: 'database', status: 'active' } })
  tenantId = created.body.tenant_id
  directory = join(control.config.AERODB_DATA_DIR, 'tenants', tenantId)
})

afterAll(async () => {
  redis.disconnect()
  await control.stop()
  await world.stop()
})

function start(overrides = {}) {
  return startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
    overrides,
  })
}

const service = (method: string, path: string) =>
  control.call(method, path, {
    key: null,
    headers: { [SERVICE_TOKEN_HEADER]: new ServiceTokenCodec(TEST_SECRET).sign('gateway', systemClock.nowMs()) },
  })
const status = async () => (await control.call('GET', `/v1/tenants/${tenantId}`)).body.status
const record = async () => parseServerRecord((await redis.hget(documentKey('server', tenantId), 'document')) ?? '')

/** Connects as a backend does. */
async function asLogin<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const server = await record()
  const password = new Sealer([TEST_SECRET]).open(server.request_login.sealed_password, `server:${tenantId}`)
  const url = `postgres://aerodb_request:${password}@${server.host}:${server.port}/${server.database}`
  return withClient(url, work)
}

test('the data is its own: closed directory, own system identifier, own user where we are root', async () => {
  const info = await stat(directory)
  expect(info.mode & 0o777).toBe(0o700)
  const own = await asLogin((client) =>
    client.query('select system_identifier from pg_control_system()').catch(() => client.query('show port')),
  )
  expect(own.rows).toHaveLength(1)
  if (process.getuid?.() === 0) {
    expect(info.uid).toBeGreaterThan(200_000)
    const pid = await findServerOn(directory)
    const processStatus = await readFile(`/proc/${pid}/status`, 'utf8')
    expect(processStatus).toMatch(new RegExp(`^Uid:\\s+${info.uid}\\s`, 'm'))
  }
})

test('over the network only the two logins are admitted, with their password, to their database', async () => {
  const { port } = await record()
  const refused = (url: string) => withClient(url, async () => {})
  await expect(refused(`postgres://postgres:x@127.0.0.1:${port}/postgres`)).rejects.toThrow('no pg_hba.conf entry')
  await expect(refused(`postgres://aerodb_request:x@127.0.0.1:${port}/postgres`)).rejects.toThrow(
    'password authentication failed',
  )
  await expect(refused(`postgres://aerodb_request:x@127.0.0.1:${port}/template1`)).rejects.toThrow(
    'no pg_hba.conf entry',
  )
})

test('its memory is what its plan grants, and one statement cannot take it all', async () => {
  const read = (client: pg.Client) =>
    client.query(`select current_setting('shared_buffers') as cache, current_setting('work_mem') as sort,
      current_setting('temp_file_limit') as spill`)
  expect((await asLogin(read)).rows).toEqual([{ cache: '16MB', sort: '4MB', spill: '1GB' }])
})

test('a killed server is started again', async () => {
  const before = await findServerOn(directory)
  process.kill(before ?? 0, 'SIGKILL')
  await eventually(async () => {
    const after = await findServerOn(directory)
    expect(after).toBeDefined()
    expect(after).not.toBe(before)
    await asLogin((client) => client.query('select 1'))
  })
})

test('after a restart of control the running server is adopted: the same process, and only one', async () => {
  const before = await findServerOn(directory)
  const { config, ownerKey } = control
  const second = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
    ownerKey,
    overrides: { AERODB_DATA_DIR: config.AERODB_DATA_DIR, AERODB_KEEP_TENANT_SERVERS: true },
  })
  try {
    expect(await findServerOn(directory)).toBe(before)
    // Both supervise it now; both notice its death; one starts it.
    process.kill(before ?? 0, 'SIGKILL')
    await eventually(async () => {
      expect(await findServerOn(directory)).not.toBe(before)
      await asLogin((client) => client.query('select 1'))
    })
  } finally {
    await second.stop({ keepData: true })
  }
  expect(await findServerOn(directory)).toBeDefined()
})

test('a paused tenant has no process, and its first request wakes it, however many ask at once', async () => {
  const { sleep } = control.started
  expect(await sleep.pause(tenantId)).toBe(true)
  expect(await status()).toBe('paused')
  expect(await findServerOn(directory)).toBeUndefined()
  const woken = await Promise.all(
    Array.from({ length: 10 }, () => service('POST', `/internal/v1/tenants/${tenantId}/wake`)),
  )
  expect(woken.every((answer) => answer.status === 200 && answer.body.status === 'active')).toBe(true)
  expect(await status()).toBe('active')
  await asLogin((client) => client.query('select 1'))
})

test('a tenant that is asked for while it is being paused stays active', async () => {
  await asLogin(async (client) => {
    await client.query('begin')
    expect(await control.started.sleep.pause(tenantId)).toBe(false)
    await client.query('commit')
  })
  expect(await status()).toBe('active')
})

test('what the platform itself asks keeps nobody awake', async () => {
  const looking = asLogin(async (client) => {
    client.on('error', () => {})
    for (;;) await client.query(`${PLATFORM_MARK} select 1`)
  })
  const end = expect(looking).rejects.toThrow()
  expect(await control.started.sleep.pause(tenantId)).toBe(true)
  await end
  expect((await service('POST', `/internal/v1/tenants/${tenantId}/wake`)).body.status).toBe('active')
})

test('only services may wake, and only what is there', async () => {
  expect((await control.call('POST', `/internal/v1/tenants/${tenantId}/wake`)).status).toBe(401)
  expect((await service('POST', '/internal/v1/tenants/ten_unknown/wake')).status).toBe(404)
})

test('a deleted tenant has no process but its data; restored it has both; purged neither', async () => {
  const path = `/v1/tenants/${tenantId}`
  const whenDone = async (operationId: string) =>
    eventually(async () =>
      expect((await control.call('GET', `/v1/operations/${operationId}`)).body.status).toBe('succeeded'),
    )
  await whenDone((await control.call('DELETE', path)).body.operation_id)
  expect(await findServerOn(directory)).toBeUndefined()
  expect((await stat(directory)).isDirectory()).toBe(true)
  await whenDone((await control.call('POST', `${path}/restore`)).body.operation_id)
  await asLogin((client) => client.query('select 1'))
  await whenDone((await control.call('DELETE', `${path}?purge=true`)).body.operation_id)
  expect(await findServerOn(directory)).toBeUndefined()
  expect(
    (await readdir(join(control.config.AERODB_DATA_DIR, 'tenants'))).filter((name) => name.startsWith('ten_')),
  ).toEqual([])
  await eventually(async () => expect(await redis.exists(documentKey('server', tenantId))).toBe(0))
  await eventually(async () => expect(await redis.exists(documentKey('tenant', 'own'))).toBe(0))
  const rows = await withClient(world.databaseUrl, (client) =>
    client.query(
      'select 1 from control.servers where server = $1 union all select 1 from control.tenant_keys where tenant_id = $1',
      [tenantId],
    ),
  )
  expect(rows.rows).toEqual([])
})
