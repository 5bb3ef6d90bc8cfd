import { execFile } from 'node:child_process'
import { appendFile, chmod, chown, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../runtime/clock.ts'
import { clusterName } from '../provisioners/cluster/cluster-parts.ts'
import { adminConfig, runningPort } from '../provisioners/own-server/own-server.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World } from '../testing/world.ts'
import { auditIsolation } from './audit-isolation.ts'
import { auditServer } from './audit-server.ts'
import { listOwnServers } from './own-servers.ts'
import { WalledServer } from './testing/walled-server.ts'

let world: World
let control: TestControl
let tenants: string
/** A tenant with a server of its own, and one with a cluster. */
let alone: string
let cluster: string

beforeAll(async () => {
  world = await startWorld()
  const { databaseUrl, sharedUrl, redis } = world
  control = await startTestControl({ databaseUrl, sharedUrls: [sharedUrl], redisUrl: redis.url })
  tenants = join(control.config.AERODB_DATA_DIR, 'tenants')
  const make = async (name: string, isolation: string) => {
    const made = await control.call('POST', '/v1/tenants', { body: { name, plan: 'enterprise', isolation } })
    expect(made).toMatchObject({ status: 201 })
    return made.body.tenant_id as string
  }
  ;[alone, cluster] = await Promise.all([make('alone', 'database'), make('clustered', 'cluster')])
}, 120_000)

afterAll(async () => {
  await control?.stop()
  await world?.stop()
})

const audit = async () => auditIsolation({ servers: await listOwnServers(tenants), clock: systemClock })

/** Runs SQL as the administrator of a tenant's own server. */
async function asAdmin(name: string, sql: string): Promise<void> {
  const directory = join(tenants, name)
  const client = new pg.Client(adminConfig({ directory, port: (await runningPort(directory)) ?? 0 }))
  await client.connect()
  await client.query(sql)
  await client.end()
}

test('a tenant’s own server and each node of a cluster, as control makes them, have no finding; one that stopped is not looked at', async () => {
  await expect.poll(async () => (await audit()).servers.length, { timeout: 60_000 }).toBe(4)
  const report = await audit()
  expect(report.findings).toEqual([])
  const nodes = [1, 2, 3].map((node) => `${clusterName(cluster)}-${node}`)
  expect(report.servers.map(({ server, tenants }) => [server, tenants])).toEqual(
    [...nodes, alone].toSorted().map((name) => [name, 1]),
  )
  // And control's own run, as its schedule and `GET /v1/isolation-audit` make it, looks at all of them too.
  const whole = await control.call('GET', '/v1/isolation-audit?fresh=true')
  for (const name of [alone, ...nodes]) expect(JSON.stringify(whole.body)).toContain(`"server":"${name}"`)
  const own = await control.call('GET', `/v1/isolation-audit?tenant_id=${cluster}`)
  expect(own.body.report.servers.map(({ server }: { server: string }) => server).toSorted()).toEqual(nodes)
}, 90_000)

test('a right, a line of authentication, a mode, an owner: whatever is opened on it is found, as its tenant’s', async () => {
  const directory = join(tenants, alone)
  const [hba, ident] = [join(directory, 'pg_hba.conf'), join(directory, 'pg_ident.conf')]
  const kept = [await readFile(hba, 'utf8'), await readFile(ident, 'utf8')] as const
  const { uid, gid } = await stat(directory)
  const isRoot = process.getuid?.() === 0
  try {
    await appendFile(hba, 'host all all 0.0.0.0/0 scram-sha-256\nlocal all all trust\n')
    await appendFile(ident, 'control nobody postgres\n')
    await chmod(directory, 0o755)
    if (isRoot) await chown(directory, uid + 1, gid)
    await asAdmin(alone, 'alter role aerodb_request bypassrls; create role guest login')
    const { findings } = await audit()
    expect([...new Set(findings.map(({ code }) => code))].toSorted()).toEqual([
      'authentication_wider',
      'file_mode',
      ...(isRoot ? ['process_user'] : []),
      'role_attribute',
      'trust_authentication',
    ])
    expect(new Set(findings.map(({ tenant }) => tenant?.tenant_id))).toEqual(new Set([alone]))
    // The line for everybody's address, and the mapping of another account.
    expect(findings.filter(({ code }) => code === 'authentication_wider')).toHaveLength(3)
  } finally {
    await writeFile(hba, kept[0])
    await writeFile(ident, kept[1])
    await chown(directory, uid, gid)
    await chmod(directory, 0o700)
    await asAdmin(alone, 'alter role aerodb_request nobypassrls; drop role guest')
  }
  expect((await audit()).findings).toEqual([])
})

test('a server that listens to other machines, or whose socket is open to other accounts, is found', async () => {
  const open = await WalledServer.start({
    listen_addresses: '*',
    // An abstract one (Linux): it leaves no file.
    unix_socket_directories: '@aerodb-test',
    unix_socket_permissions: '0777',
  })
  try {
    const { findings } = await auditServer(open.asOwn, () => null)
    expect(findings.filter(({ code }) => code === 'port_open').map(({ what }) => what)).toEqual([
      'listen_addresses = *',
      'unix_socket_permissions = 0777',
    ])
  } finally {
    await open.stop()
  }
})

test('the command finds them by the folder of the endpoints file', async () => {
  const file = join(control.config.AERODB_DATA_DIR, 'endpoints.json')
  const endpoints = {
    gateway: 'http://127.0.0.1:9',
    domain: 'localhost',
    platform_key: 'x',
    metadata_database_url: world.databaseUrl,
    shared_database_urls: [world.sharedUrl],
  }
  await writeFile(file, JSON.stringify(endpoints), { mode: 0o600 })
  await asAdmin(alone, 'alter role aerodb_request bypassrls')
  const output = await new Promise<string>((resolve) =>
    execFile(
      process.execPath,
      [join(import.meta.dirname, 'main.ts'), '--endpoints', file, '--no-canary'],
      { env: { PATH: process.env.PATH ?? '' } },
      (_, stdout) => resolve(stdout),
    ),
  )
  await asAdmin(alone, 'alter role aerodb_request nobypassrls')
  expect(output).toMatch(new RegExp(`${clusterName(cluster)}-[123] \\(postgres\\): 1 tenants`))
  expect(output).toMatch(new RegExp(`role_attribute {2}${alone} {2}tenant alone`))
})

test('a server that was stopped is not looked at any more', async () => {
  expect((await control.call('DELETE', `/v1/tenants/${alone}`)).status).toBe(202)
  await expect.poll(async () => runningPort(join(tenants, alone)), { timeout: 20_000 }).toBe(undefined)
  expect((await audit()).servers.map(({ server }) => server)).not.toContain(alone)
  expect(await readdir(tenants)).toContain(alone)
})
