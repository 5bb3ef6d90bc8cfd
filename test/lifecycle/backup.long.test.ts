import { type ChildProcess, spawn } from 'node:child_process'
import { appendFile, chmod, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Tenant, TestPlatform } from '../support/platform.ts'

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const soon = { timeout: 90_000, interval: 250 }
const made: string[] = []
let platform: TestPlatform
let restored: TestPlatform | undefined
let backups: string

beforeAll(async () => {
  const directory = await makeFolder('aerodb-source-')
  backups = await makeFolder('aerodb-backups-')
  platform = await TestPlatform.start({ directory, env: { AERODB_PAUSE_AFTER_SECONDS: '5' } })
})
afterAll(async () => {
  await restored?.stop()
  await platform?.stop()
  for (const folder of made) await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
})

async function makeFolder(prefix: string): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), prefix))
  await chmod(path, 0o711)
  made.push(path)
  return path
}

/** `npm run <script>` on a data directory. */
function npm(script: string, directory: string, args: readonly string[]): ChildProcess {
  return spawn('npm', ['run', '--silent', script, '--', ...args], {
    cwd: ROOT,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, AERODB_DATA_DIR: directory },
  })
}

async function finish(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  let out = ''
  let err = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (err += text))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, out, err }
}

/** Writes rows one after the other, and remembers which were acknowledged. */
class Writer {
  readonly tenant: Tenant
  readonly acknowledged: string[] = []
  /** Responses of any kind. */
  responses = 0
  #isRunning = true
  readonly #done: Promise<void>

  constructor(tenant: Tenant) {
    this.tenant = tenant
    this.#done = this.#run()
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    await this.#done
  }

  async #run(): Promise<void> {
    const { name, keys } = this.tenant
    for (let n = 0; this.#isRunning; n++) {
      const title = `row ${n}`
      const answer = await platform
        .call(name, '/rest/v1/todos', { key: keys.service, body: { title } })
        .catch(() => undefined)
      if (answer !== undefined) this.responses++
      if (answer?.status === 201) this.acknowledged.push(title)
      await sleep(5)
    }
  }
}

async function readTitles(on: TestPlatform, tenant: Tenant): Promise<string[]> {
  const titles: string[] = []
  for (let offset = 0; ; offset += 1_000) {
    const path = `/rest/v1/todos?select=title&order=id&limit=1000&offset=${offset}`
    const answer = await on.call(tenant.name, path, { key: tenant.keys.service })
    if (answer.status !== 200) throw new Error(`${tenant.name} answered ${answer.status}: ${answer.text}`)
    titles.push(...(answer.json as { title: string }[]).map(({ title }) => title))
    if (answer.json.length < 1_000) return titles
  }
}

async function upload(tenant: Tenant, name: string, body: string): Promise<void> {
  const { service: key } = tenant.keys
  const headers = { 'content-type': 'text/plain' }
  const path = `/storage/v1/object/papers/${name}`
  expect((await platform.call(tenant.name, path, { key, headers, method: 'POST', body })).status).toBe(200)
}

/** An invoice of last month, as if the tenant had been there. */
async function issueInvoice(tenant: Tenant): Promise<unknown> {
  const metadata = new pg.Client({ connectionString: platform.endpoints.metadata_database_url })
  await metadata.connect()
  await metadata.query(
    `update control.plan_segments set started_at = started_at - interval '40 days' where tenant_id = $1`,
    [tenant.tenant_id],
  )
  await metadata.query(
    `insert into control.plan_history_outbox (tenant_id) values ($1)
     on conflict (tenant_id) do update set version = nextval('control.plan_history_version')`,
    [tenant.tenant_id],
  )
  await metadata.end()
  const month = new Date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth() - 1)).toISOString().slice(0, 7)
  await expect
    .poll(async () => {
      await platform.control(`/v1/invoices/close?month=${month}`, { method: 'POST' })
      return (await platform.control(`/v1/tenants/${tenant.tenant_id}/invoices/${month}`)).json?.state
    }, soon)
    .toBe('issued')
  return (await platform.control(`/v1/tenants/${tenant.tenant_id}/invoices/${month}`)).json
}

async function countRequests(on: TestPlatform, tenant: Tenant): Promise<number> {
  return (await on.usage(tenant)).json.resources.api_requests.total
}

async function killAll(victim: TestPlatform): Promise<void> {
  const { pids } = await victim.refresh()
  const tenants = await readdir(join(victim.directory, 'tenants'))
  const notes = await Promise.all(
    tenants.map((name) => readFile(join(victim.directory, 'tenants', name, 'postmaster.pid'), 'utf8').catch(() => '')),
  )
  const own = notes.map((text) => Number(text.split('\n')[0])).filter((pid) => pid > 1)
  await victim.stop('SIGKILL')
  for (const pid of [...Object.values(pids).flat(), ...own])
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It followed its launcher.
    }
}

test('a backup made under writes, restored elsewhere after a kill, has all that was acknowledged before it began', async () => {
  const tenants = {
    schema: await platform.createTenant('kept-schema', { plan: 'enterprise' }),
    database: await platform.createTenant('kept-database', { plan: 'enterprise', isolation: 'database' }),
    paused: await platform.createTenant('kept-paused', { plan: 'enterprise', isolation: 'database' }),
    cluster: await platform.createTenant('kept-cluster', { plan: 'enterprise', isolation: 'cluster' }),
  }
  for (const tenant of Object.values(tenants)) {
    await platform.createTodos(tenant)
    const { service: key } = tenant.keys
    expect((await platform.call(tenant.name, '/storage/v1/bucket', { key, body: { name: 'papers' } })).status).toBe(200)
    await upload(tenant, 'before.txt', `of ${tenant.name}`)
    const row = { key, body: { title: 'first' } }
    expect((await platform.call(tenant.name, '/rest/v1/todos', row)).status).toBe(201)
  }
  const invoice = await issueInvoice(tenants.schema)
  const status = async () => (await platform.control(`/v1/tenants/${tenants.paused.tenant_id}`)).json.status
  await expect.poll(status, soon).toBe('paused')

  const writers = [tenants.schema, tenants.database, tenants.cluster].map((tenant) => new Writer(tenant))
  for (const writer of writers) await expect.poll(() => writer.acknowledged.length, soon).toBeGreaterThan(100)

  const before = writers.map((writer) => ({ rows: [...writer.acknowledged], responses: writer.responses }))
  const first = await finish(npm('backup', platform.directory, ['--to', backups]))
  expect(first, first.err).toMatchObject({ code: 0 })
  const during = writers.map((writer) => writer.acknowledged.length)
  expect(during.every((count, index) => count > (before[index]?.rows.length ?? 0))).toBe(true)

  // A second one shares the files with the first, and takes its place.
  await upload(tenants.schema, 'later.txt', 'came later')
  const again = writers.map((writer) => ({ rows: [...writer.acknowledged], responses: writer.responses }))
  const second = await finish(npm('backup', platform.directory, ['--to', backups, '--keep', '1']))
  expect(second, second.err).toMatchObject({ code: 0 })
  expect(await readdir(backups)).toHaveLength(1)
  const backup = second.out.trim()
  expect((await stat(backup)).mode & 0o777).toBe(0o700)
  expect((await stat(join(backup, 'folders/0/secrets.json'))).mode & 0o777).toBe(0o600)
  for (const writer of writers) await writer.stop()
  await killAll(platform)

  // Killed at any moment a restore has done nothing, or is finished by the next.
  const target = await makeFolder('aerodb-target-')
  for (const pauseMs of [700, 1_500, 3_000]) {
    const child = npm('restore', target, ['--from', backup])
    const ended = finish(child)
    await sleep(pauseMs)
    process.kill(-(child.pid ?? 0), 'SIGKILL')
    await ended
    const names = (await readdir(target)).filter((name) => !['.restoring', 'up.lock'].includes(name))
    expect(names).toEqual([])
  }
  const restore = await finish(npm('restore', target, ['--from', backup]))
  expect(restore, restore.err).toMatchObject({ code: 0 })
  expect((await readdir(target)).sort()).toEqual(['files', 'postgres', 'secrets.json', 'spool', 'tenants'])
  const refused = await finish(npm('restore', target, ['--from', backup]))
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('is not empty') })

  restored = await TestPlatform.start({ directory: target })
  const there = restored
  for (const [index, writer] of writers.entries()) {
    await expect.poll(() => readTitles(there, writer.tenant).then((titles) => titles.length), soon).toBeGreaterThan(0)
    const titles = new Set(await readTitles(there, writer.tenant))
    const missing = (again[index]?.rows ?? []).filter((title) => !titles.has(title))
    expect(missing, writer.tenant.name).toEqual([])
  }
  for (const tenant of Object.values(tenants)) {
    const key = tenant.keys.service
    const read = async () => (await there.call(tenant.name, '/storage/v1/object/papers/before.txt', { key })).text
    await expect.poll(read, soon).toBe(`of ${tenant.name}`)
    const write = async () =>
      (await there.call(tenant.name, '/rest/v1/todos', { key, body: { title: 'after' } })).status
    await expect.poll(write, soon).toBe(201)
    expect(await readTitles(there, tenant)).toContain('first')
  }
  const key = tenants.schema.keys.service
  expect((await there.call('kept-schema', '/storage/v1/object/papers/later.txt', { key })).text).toBe('came later')
  for (const [index, { tenant }] of writers.entries())
    await expect.poll(() => countRequests(there, tenant), soon).toBeGreaterThanOrEqual(again[index]?.responses ?? 0)
  const month = (invoice as { month: string }).month
  expect((await there.control(`/v1/tenants/${tenants.schema.tenant_id}/invoices/${month}`)).json).toEqual(invoice)

  const reconciled = await finish(npm('reconcile', target, []))
  expect(reconciled, reconciled.out).toMatchObject({ code: 0 })
  const audited = await finish(npm('audit:isolation', target, []))
  expect(audited, audited.out).toMatchObject({ code: 0 })
  // The cluster has its standbys again, made anew from the primary.
  const nodes = async () => {
    const answer = await there.control(`/v1/tenants/${tenants.cluster.tenant_id}/nodes`)
    return (answer.json.data as { role: string }[]).map(({ role }) => role).sort()
  }
  await expect.poll(nodes, { timeout: 180_000, interval: 1_000 }).toEqual(['primary', 'standby', 'standby'])

  // What was damaged on its way is refused before anything is done.
  await appendFile(join(backup, 'servers/0.tar.zst'), 'x')
  const fresh = await makeFolder('aerodb-fresh-')
  const damaged = await finish(npm('restore', fresh, ['--from', backup]))
  expect(damaged).toMatchObject({ code: 1, err: expect.stringContaining('servers/0.tar.zst is not what was written') })
  expect(await readdir(fresh)).toEqual([])
  expect(JSON.parse(await readFile(join(backup, 'manifest.json'), 'utf8'))).toMatchObject({ format: 1 })
}, 900_000)
