import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Tenant, TestPlatform } from '../support/platform.ts'

const run = promisify(execFile)
let directory: string
let archives: string
let platform: TestPlatform

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'aerodb-cold-'))
  await chmod(directory, 0o711)
  archives = await mkdtemp(join(tmpdir(), 'aerodb-archive-'))
})
afterAll(async () => {
  await platform?.stop()
  for (const folder of [directory, archives])
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
})

/** What must be the same before and after: rows, files and the bill, asked for with the tenant's own keys. */
async function look(tenant: Tenant): Promise<unknown> {
  const { service } = tenant.keys
  const rows = await platform.call(tenant.name, '/rest/v1/todos?order=id', { key: service })
  const file = await platform.call(tenant.name, '/storage/v1/object/papers/hello.txt', { key: service })
  return { rows: [rows.status, rows.json], file: [file.status, file.text] }
}

async function countRequests(tenant: Tenant): Promise<number> {
  return (await platform.usage(tenant)).json.resources.api_requests.total
}

test('a data directory that was copied while the platform stood still is the platform: keys, rows, files, bills', async () => {
  platform = await TestPlatform.start({ directory })
  const ownerKey = platform.endpoints.platform_key
  const tenants = [
    await platform.createTenant('cold-schema'),
    await platform.createTenant('cold-database', { plan: 'pro', isolation: 'database' }),
  ]
  for (const tenant of tenants) {
    await platform.createTodos(tenant)
    const { service: key } = tenant.keys
    for (const title of ['one', 'two'])
      expect((await platform.call(tenant.name, '/rest/v1/todos', { key, body: { title } })).status).toBe(201)
    expect((await platform.call(tenant.name, '/storage/v1/bucket', { key, body: { name: 'papers' } })).status).toBe(200)
    const headers = { 'content-type': 'text/plain' }
    const upload = { key, headers, method: 'POST', body: 'kept' }
    expect((await platform.call(tenant.name, '/storage/v1/object/papers/hello.txt', upload)).status).toBe(200)
  }
  const before = await Promise.all(tenants.map(look))
  for (const state of before)
    expect(state).toMatchObject({ rows: [200, [{ title: 'one' }, { title: 'two' }]], file: [200, 'kept'] })
  await expect.poll(() => Promise.all(tenants.map(countRequests)), { timeout: 15_000 }).toEqual([7, 7])
  await platform.stop()

  const archive = join(archives, 'aerodb.tar')
  await run('tar', ['-C', dirname(directory), '--numeric-owner', '-cpf', archive, basename(directory)])
  await rm(directory, { recursive: true })
  // Redis is not needed: what it has is written again.
  const restore = [
    '-C',
    dirname(directory),
    '--numeric-owner',
    '-xpf',
    archive,
    `--exclude=${basename(directory)}/redis`,
  ]
  await run('tar', restore)

  await platform.up()
  expect(platform.endpoints.platform_key).toBe(ownerKey)
  await expect.poll(() => Promise.all(tenants.map(countRequests)), { timeout: 15_000 }).toEqual([7, 7])
  expect(await Promise.all(tenants.map(look))).toEqual(before)
}, 240_000)
