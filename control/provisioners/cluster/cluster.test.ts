import { chmod, mkdtemp, readdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { withPostgres } from '../../../runtime/postgres-client.ts'
import { findServerOn } from '../../../runtime/postgres-server.ts'
import { Sealer } from '../../../runtime/seal.ts'
import { documentKey } from '../../../tenancy/directory-keys.ts'
import { parseServerRecord } from '../../../tenancy/server-record.ts'
import { eventually } from '../../testing/eventually.ts'
import { startTestControl, TEST_SECRET, type TestControl } from '../../testing/start-control.ts'
import { startWorld, type World, withClient } from '../../testing/world.ts'
import { fenceServer } from './fence.ts'

let world: World
let control: TestControl
let redis: Redis
let dataDir: string
let tenantId: string
let server: string

beforeAll(async () => {
  world = await startWorld()
  // Of its own, because it outlives a control.
  dataDir = await mkdtemp(join(tmpdir(), 'aerodb-cluster-'))
  await chmod(dataDir, 0o711)
  control = await start()
  redis = new Redis(world.redis.url)
  const created = await control.call('POST', '/v1/tenants', {
    body: { name: 'three', isolation: 'cluster', plan: 'enterprise' },
  })
  expect(created).toMatchObject({ status: 201, body: { isolation: 'cluster', status: 'active' } })
  tenantId = created.body.tenant_id
  server = tenantId.replace('ten_', 'clu_')
  await asAdmin((client) => client.query('create table public.kept (id int primary key)'))
})

afterAll(async () => {
  redis.disconnect()
  await control.stop()
  await world.stop()
})

function start(options: Partial<Parameters<typeof startTestControl>[0]> = {}) {
  return startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
    ...options,
    overrides: { AERODB_DATA_DIR: dataDir, ...options.overrides },
  })
}

type Node = { node: number; role: string; state: string; is_in_quorum: boolean; lag_bytes: number | null }

const nodes = async (): Promise<Node[]> => (await control.call('GET', `/v1/tenants/${tenantId}/nodes`)).body.data
const directory = (node: number) => join(dataDir, 'tenants', `${server}-${node}`)
const record = async () => parseServerRecord((await redis.hget(documentKey('server', server), 'document')) ?? '')

async function findPrimary(): Promise<number> {
  return (await nodes()).find(({ role }) => role === 'primary')?.node ?? 0
}

async function processOf(node: number): Promise<number> {
  const pid = await findServerOn(directory(node))
  if (pid === undefined) throw new Error(`node ${node} does not run`)
  return pid
}

/** Runs `work` on whatever the platform takes for the primary. */
async function asAdmin<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  return withPostgres(control.started.clusters.connect(server), work)
}

/** Connects as a backend does, to where the directory says that the primary is. */
async function asLogin<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const { request_login, host, port, database } = await record()
  const password = new Sealer([TEST_SECRET]).open(request_login.sealed_password, `server:${server}`)
  return withClient(`postgres://aerodb_request:${password}@${host}:${port}/${database}`, work)
}

async function expectWhole(): Promise<void> {
  await eventually(async () => {
    const all = await nodes()
    expect(all.map(({ state }) => state).toSorted()).toEqual(['serving', 'streaming', 'streaming'])
    expect(all.filter(({ is_in_quorum }) => is_in_quorum)).toHaveLength(2)
  }, 60_000)
}

test('a create ends when a primary serves and both standbys count for its quorum', async () => {
  const all = await nodes()
  expect(all.map(({ role, state }) => `${role} ${state}`)).toEqual([
    'primary serving',
    'standby streaming',
    'standby streaming',
  ])
  expect((await asAdmin((client) => client.query('show synchronous_standby_names'))).rows).toEqual([
    { synchronous_standby_names: 'ANY 1 (node_2, node_3)' },
  ])
  await asLogin((client) => client.query('select 1'))
})

test('each node has a closed directory, a process and, where we are root, a user of its own', async () => {
  const infos = await Promise.all([1, 2, 3].map((node) => stat(directory(node))))
  for (const info of infos) expect(info.mode & 0o777).toBe(0o700)
  const pids = await Promise.all([1, 2, 3].map(processOf))
  expect(new Set(pids).size).toBe(3)
  if (process.getuid?.() === 0) expect(new Set(infos.map(({ uid }) => uid)).size).toBe(3)
})

test('a tenant that has no nodes of its own says so', async () => {
  const other = await control.call('POST', '/v1/tenants', { body: { name: 'plain', plan: 'free' } })
  expect(await control.call('GET', `/v1/tenants/${other.body.tenant_id}/nodes`)).toMatchObject({
    status: 200,
    body: { data: [], next_cursor: null },
  })
})

test('when the primary is killed a standby takes over without a lost acknowledged write, and the old one comes back as a standby', async () => {
  const before = await findPrimary()
  const writer = writeForever()
  await eventually(async () => expect(writer.acknowledged.length).toBeGreaterThan(50))
  process.kill(await processOf(before), 'SIGKILL')
  // Its sessions may outlive the postmaster for a moment, and go on acknowledging what a standby has.
  await eventually(async () => expect(await findPrimary()).not.toBe(before), 20_000)
  const atFailover = writer.acknowledged.length
  await eventually(async () => expect(writer.acknowledged.length).toBeGreaterThan(atFailover + 50), 20_000)
  await writer.stop()
  await expectWhole()
  await expectKept(writer.acknowledged)
})

test('a primary that hangs is fenced: it never acknowledges again, and a standby serves', async () => {
  const before = await findPrimary()
  const hung = await processOf(before)
  process.kill(hung, 'SIGSTOP')
  await eventually(async () => expect(await findPrimary()).not.toBe(before), 40_000)
  expect(await findServerOn(directory(before))).not.toBe(hung)
  await expectWhole()
})

test('a killed standby is started again, and the other one carries the quorum meanwhile', async () => {
  const standby = (await nodes()).find(({ role }) => role === 'standby')?.node ?? 0
  const writer = writeForever()
  const primary = await findPrimary()
  const killed = await processOf(standby)
  process.kill(killed, 'SIGKILL')
  await expectWhole()
  expect(await findServerOn(directory(standby))).not.toBe(killed)
  expect(await findPrimary()).toBe(primary)
  await writer.stop()
  await expectKept(writer.acknowledged)
})

test('a standby whose data is gone is made anew', async () => {
  const standby = (await nodes()).find(({ role }) => role === 'standby')?.node ?? 0
  await withClient(world.databaseUrl, (client) =>
    client.query(`update control.cluster_nodes set role = 'rebuilding' where server = $1 and node = $2`, [
      server,
      standby,
    ]),
  )
  await fenceServer(directory(standby))
  await expectWhole()
})

test('with the primary and one standby killed at once nobody is elected who may lack a write', async () => {
  const writer = writeForever()
  await eventually(async () => expect(writer.acknowledged.length).toBeGreaterThan(50))
  const primary = await findPrimary()
  const standby = (await nodes()).find(({ role }) => role === 'standby')?.node ?? 0
  const pids = await Promise.all([primary, standby].map(processOf))
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  const atKill = writer.acknowledged.length
  await eventually(async () => expect(writer.acknowledged.length).toBeGreaterThan(atKill + 50), 30_000)
  await writer.stop()
  await expectWhole()
  await expectKept(writer.acknowledged)
})

test('two controls keep one cluster: both see the death, one standby takes over, once', async () => {
  const second = await start({
    ownerKey: control.ownerKey,
    overrides: { AERODB_KEEP_TENANT_SERVERS: true },
  })
  try {
    await eventually(async () => expect(second.started.clusters.watched()).toEqual([server]))
    await expectWhole()
    const before = await findPrimary()
    const writer = writeForever()
    await eventually(async () => expect(writer.acknowledged.length).toBeGreaterThan(20))
    process.kill(await processOf(before), 'SIGKILL')
    await eventually(async () => expect(await findPrimary()).not.toBe(before), 20_000)
    await expectWhole()
    await writer.stop()
    await expectKept(writer.acknowledged)
  } finally {
    await second.stop({ keepData: true })
  }
})

test('control that comes back adopts running nodes, and starts those that do not run', async () => {
  const { ownerKey } = control
  await control.stop({ keepData: true })
  for (const node of [1, 2, 3]) expect(await findServerOn(directory(node))).toBeUndefined()
  control = await start({ ownerKey })
  await expectWhole()
  await asLogin((client) => client.query('select 1'))
})

test('a deleted cluster has no process but its data; restored it has both; purged neither', async () => {
  const path = `/v1/tenants/${tenantId}`
  const whenDone = async (operationId: string) =>
    eventually(
      async () => expect((await control.call('GET', `/v1/operations/${operationId}`)).body.status).toBe('succeeded'),
      30_000,
    )
  await whenDone((await control.call('DELETE', path)).body.operation_id)
  for (const node of [1, 2, 3]) {
    expect(await findServerOn(directory(node))).toBeUndefined()
    expect((await stat(directory(node))).isDirectory()).toBe(true)
  }
  await whenDone((await control.call('POST', `${path}/restore`)).body.operation_id)
  await expectWhole()
  expect((await asAdmin((client) => client.query('select count(*) > 0 as kept from public.kept'))).rows).toEqual([
    { kept: true },
  ])
  await whenDone((await control.call('DELETE', `${path}?purge=true`)).body.operation_id)
  const left = await readdir(join(dataDir, 'tenants'))
  expect(left.filter((name) => name.includes('clu_'))).toEqual([])
  await eventually(async () => expect(await redis.exists(documentKey('server', server))).toBe(0))
  const rows = await withClient(world.databaseUrl, (client) =>
    client.query('select from control.cluster_nodes union all select from control.servers where server = $1', [server]),
  )
  expect(rows.rowCount).toBe(0)
})

let nextId = 1

/** Writes unique ids one after another, to wherever the primary is; remembers those that were acknowledged. */
function writeForever() {
  const acknowledged: number[] = []
  let isStopped = false
  const run = async () => {
    let client: pg.Client | undefined
    for (let id = nextId; !isStopped; nextId = ++id) {
      try {
        if (client === undefined) {
          client = await control.started.clusters.connect(server)
          client.on('error', () => {})
        }
        await client.query('insert into public.kept values ($1)', [id])
        acknowledged.push(id)
      } catch {
        await client?.end().catch(() => {})
        client = undefined
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }
    await client?.end().catch(() => {})
  }
  const running = run()
  return {
    acknowledged,
    stop: async () => {
      isStopped = true
      await running
    },
  }
}

async function expectKept(acknowledged: readonly number[]): Promise<void> {
  const kept = await asAdmin((client) => client.query<{ id: number }>('select id from public.kept'))
  const ids = new Set(kept.rows.map(({ id }) => id))
  expect(acknowledged.filter((id) => !ids.has(id))).toEqual([])
}
