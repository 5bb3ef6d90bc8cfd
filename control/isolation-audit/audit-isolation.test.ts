import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../runtime/clock.ts'
import { makeLogger } from '../../runtime/log.ts'
import { migrate } from '../../runtime/migrations.ts'
import { makePostgresPool, type PostgresPool } from '../../runtime/postgres-pool.ts'
import { createDatabase } from '../../test/support/databases.ts'
import { auditIsolation } from './audit-isolation.ts'
import { verifyReport } from './report-signature.ts'
import { WalledServer, type WalledTenant } from './testing/walled-server.ts'

const log = makeLogger('test', 'silent')
const SECRET = 'a secret of at least thirty-two characters'
let server: WalledServer
let metadata: PostgresPool
let metadataUrl: string
let dropMetadata: () => Promise<void>
let directory: string
let acme: WalledTenant

beforeAll(async () => {
  const database = await createDatabase()
  dropMetadata = database.drop
  metadataUrl = database.url
  await migrate({
    databaseUrl: database.url,
    schema: 'control',
    directory: join(import.meta.dirname, '../migrations'),
    log,
  })
  metadata = makePostgresPool({ url: database.url, applicationName: 'test', maxConnections: 1, log })
  directory = await mkdtemp(join(tmpdir(), 'aerodb-audit-files-'))
  server = await WalledServer.start()
  acme = await server.addTenant()
  await metadata.query(`insert into control.servers (server, kind, identity, host, port, database, sealed_request_password,
      sealed_ddl_password, capacity, max_connections) values ('shared-0', 'shared', 'x', 'x', 1, 'shared', 'x', 'x', 1, 1)`)
  await register(acme.tenantId, 'acme', 'active')
})

afterAll(async () => {
  await metadata.end()
  await Promise.all([server.stop(), dropMetadata(), rm(directory, { recursive: true, force: true })])
})

async function register(tenantId: string, name: string, status: string, over = 'null'): Promise<void> {
  await metadata.query(
    `insert into control.tenants (tenant_id, name, plan, region, isolation, status, server, updated_at, purged_at)
     values ($1, $2, 'free', 'local', 'schema', $3, 'shared-0', now() - interval '1 hour', ${over})`,
    [tenantId, name, status],
  )
}

const audit = () =>
  auditIsolation({
    servers: [{ name: 'shared-0', pool: server.pool }],
    metadata,
    dataDirectory: directory,
    clock: systemClock,
  })

test('what is registered and what is there are the same, and files are closed', async () => {
  await writeFile(join(directory, 'secrets.json'), '{}', { mode: 0o600 })
  const report = await audit()
  expect(report.findings).toEqual([])
  expect(report).toMatchObject({ ok: true, canary: 'not_probed' })
})

test('a finding names its tenant', async () => {
  await server.pool.query(`grant select on ${acme.schema}.todos to public`)
  const report = await audit()
  await server.pool.query(`revoke all on ${acme.schema}.todos from public`)
  expect(report.findings.map(({ code, tenant }) => [code, tenant])).toEqual([
    ['grant_to_public', { tenant_id: acme.tenantId, name: 'acme' }],
  ])
})

test('data of a purged tenant, a schema of nobody, and a tenant without its schema are found', async () => {
  const purged = await server.addTenant()
  const nobody = await server.addTenant()
  await register(purged.tenantId, 'purged', 'deleted', `now() - interval '1 hour'`)
  await register('ten_0123456789abcdefghjkmnpqrs', 'lost', 'active')
  const { findings } = await audit()
  await server.pool.query(`drop schema ${purged.schema}, ${nobody.schema} cascade`)
  await metadata.query(
    `update control.tenants set status = 'deleted', purged_at = now() where name in ('lost', 'purged')`,
  )
  expect(findings.map(({ code, tenant, what }) => [code, tenant?.name ?? null, what]).toSorted()).toEqual([
    ['schema_without_tenant', null, 'no tenant has it'],
    ['schema_without_tenant', 'purged', 'its tenant was purged'],
    ['tenant_without_schema', 'lost', 'it does not exist'],
  ])
})

test('an open secret file, and an open data directory of a tenant, are found', async () => {
  const tenantDirectory = join(directory, 'tenants', 'ten_x')
  await mkdir(tenantDirectory, { recursive: true, mode: 0o755 })
  await chmod(join(directory, 'secrets.json'), 0o644)
  await mkdir(join(directory, 'postgres'), { mode: 0o700 })
  const { findings } = await audit()
  await chmod(join(directory, 'secrets.json'), 0o600)
  await chmod(tenantDirectory, 0o700)
  expect(findings.map(({ code, object, what }) => [code, object, what])).toEqual([
    ['file_mode', join(directory, 'secrets.json'), 'its mode is 0644'],
    ['file_mode', tenantDirectory, 'its mode is 0755'],
  ])
})

/** Runs the command as an operator does. */
async function runCommand(
  args: string[],
  env: Record<string, string>,
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) =>
    execFile(
      process.execPath,
      [join(import.meta.dirname, 'main.ts'), ...args],
      { env: { PATH: process.env.PATH ?? '', ...env } },
      (fault, stdout, stderr) => resolve({ code: fault === null ? 0 : Number(fault.code), stdout, stderr }),
    ),
  )
}

test('the command ends with 0 on standing walls and prints a signed report', async () => {
  const { code, stdout } = await runCommand(['--json'], {
    AERODB_SHARED_DATABASE_URLS: server.url,
    AERODB_DATABASE_URL: metadataUrl,
    AERODB_INTERNAL_SECRET: SECRET,
  })
  expect(code).toBe(0)
  const { report, jws, key } = JSON.parse(stdout)
  expect(await verifyReport(jws, key)).toEqual(report)
  expect(report.servers).toMatchObject([{ server: 'shared-0', tenants: 1, tables: 1 }])
})

test('it reads a running platform’s endpoints, ends with 1 on a finding, and shows it as text', async () => {
  const file = join(directory, 'other-endpoints.json')
  const endpoints = {
    gateway: 'http://127.0.0.1:9',
    domain: 'localhost',
    platform_key: 'x',
    metadata_database_url: metadataUrl,
    shared_database_urls: [server.url],
  }
  await writeFile(file, JSON.stringify(endpoints), { mode: 0o600 })
  await server.pool.query('create schema t_stray')
  const found = await runCommand(['--endpoints', file, '--no-canary'], {})
  const accepted = await runCommand(
    ['--endpoints', file, '--no-canary', '--accept', 'schema_name_unknown:schema t_stray'],
    {},
  )
  await server.pool.query('drop schema t_stray')
  expect(found.code).toBe(1)
  expect(found.stdout).toMatch(/MEDIUM {2}schema_name_unknown[\s\S]*The walls do not stand/)
  expect(accepted.code).toBe(0)
})

test.each([
  [['--nonsense'], {}],
  [[], { AERODB_DATA_DIR: '/nowhere' }],
  [['--json'], { AERODB_SHARED_DATABASE_URLS: 'http://x', AERODB_INTERNAL_SECRET: 'short' }],
  [['--json'], { AERODB_SHARED_DATABASE_URLS: 'postgres://x:y@127.0.0.1:9/z' }],
])('it ends with 2 when it cannot be made: %j %j', async (args, env) => {
  const { code, stdout, stderr } = await runCommand(args, env as Record<string, string>)
  expect(code).toBe(2)
  expect(stdout).toBe('')
  expect(stderr).not.toBe('')
  expect(stderr).not.toMatch(/:y@/)
})
