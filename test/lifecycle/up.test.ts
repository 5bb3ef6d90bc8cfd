import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { isAlive } from '../../runtime/processes.ts'
import { type Tenant, TestPlatform } from '../support/platform.ts'

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
let directory: string
let platform: TestPlatform | undefined

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'aerodb-up-'))
})

afterEach(async () => {
  await platform?.stop()
  platform = undefined
  await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
})

/** Runs the launcher until it ends, for starts that must fail. */
async function runUp(
  env: Record<string, string>,
  args: string[] = [],
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'deploy/up.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      AERODB_DATA_DIR: directory,
      AERODB_GATEWAY_PORT: '0',
      AERODB_GATEWAY_ADMIN_PORT: '0',
      AERODB_CONTROL_PORT: '0',
      ...env,
    },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, output }
}

const allPids = (of: TestPlatform) => Object.values(of.endpoints.pids).flat()
const living = async (pids: number[]) =>
  (await Promise.all(pids.map(async (pid) => ((await isAlive(pid)) ? [pid] : [])))).flat()

async function titles(of: TestPlatform, tenant: Tenant): Promise<string[]> {
  const answer = await of.call(tenant.name, '/rest/v1/todos?select=title&order=id', { key: tenant.keys.service })
  return answer.json.map((row: { title: string }) => row.title)
}

test('what is written survives Ctrl-C and kill -9 of the launcher, and nothing is left running', async () => {
  platform = await TestPlatform.start({ directory })
  expect((await stat(join(directory, 'endpoints.json'))).mode & 0o777).toBe(0o600)
  const tenant = await platform.createTenant('keeper')
  await platform.createTodos(tenant)
  const write = async (title: string) => {
    const answer = await platform?.call('keeper', '/rest/v1/todos', { key: tenant.keys.service, body: { title } })
    expect(answer?.status).toBe(201)
  }
  await write('before Ctrl-C')
  const pids = allPids(platform)
  expect(await platform.stop('SIGINT')).toBe(0)
  expect(await living(pids)).toEqual([])
  expect(await readdir(directory)).not.toContain('endpoints.json')
  expect(await readdir(directory)).not.toContain('up.lock')

  await platform.up()
  expect(await titles(platform, tenant)).toEqual(['before Ctrl-C'])
  await write('before kill -9')
  const lock = JSON.parse(await readFile(join(directory, 'up.lock'), 'utf8')) as { pid: number }
  const orphans = allPids(platform)
  process.kill(lock.pid, 'SIGKILL')
  await vi.waitFor(async () => expect(await readdir(directory)).not.toContain('endpoints.json'))
  await platform.stop()
  await platform.up()
  expect(await titles(platform, tenant)).toEqual(['before Ctrl-C', 'before kill -9'])
  expect(await living(orphans)).toEqual([])
}, 120_000)

test('every part that is killed comes back by itself, with the data', async () => {
  platform = await TestPlatform.start({ directory })
  const tenant = await platform.createTenant('phoenix', { plan: 'enterprise' })
  await platform.createTodos(tenant)
  for (const part of ['gateway', 'backend', 'control', 'metering', 'redis', 'postgres']) {
    const before = (await platform.refresh()).pids[part] ?? []
    for (const pid of before) process.kill(pid, 'SIGKILL')
    await vi.waitFor(
      async () => {
        const after = (await platform?.refresh())?.pids[part] ?? []
        expect(after.length, part).toBe(before.length)
        expect(
          after.some((pid) => before.includes(pid)),
          part,
        ).toBe(false)
        const written = await platform?.call('phoenix', '/rest/v1/todos', {
          key: tenant.keys.service,
          body: { title: part },
        })
        expect(written?.status, `${part}: ${written?.text}`).toBe(201)
      },
      { timeout: 20_000, interval: 100 },
    )
  }
  expect(new Set(await titles(platform, tenant))).toEqual(
    new Set(['gateway', 'backend', 'control', 'metering', 'redis', 'postgres']),
  )
  await vi.waitFor(async () => expect((await platform?.createTenant('newborn'))?.status).toBe('active'), {
    timeout: 10_000,
  })
}, 120_000)

test('a second launcher on the same folder is told about the first', async () => {
  platform = await TestPlatform.start({ directory })
  const second = await runUp({})
  expect(second.code).toBe(1)
  expect(second.output).toMatch(/running already/)
  expect((await platform.control('/v1/tenants')).status).toBe(200)
}, 120_000)

test('a taken port is named, with the variable that chooses another', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? String(address.port) : ''
  const { code, output } = await runUp({ AERODB_GATEWAY_PORT: port })
  server.close()
  expect(code).toBe(1)
  expect(output).toContain(port)
  expect(output).toContain('AERODB_GATEWAY_PORT=0')
  expect(await readdir(directory)).not.toContain('up.lock')
})

test('wrong settings are reported all at once, before anything starts', async () => {
  const { code, output } = await runUp({
    AERODB_GATEWAY_PORT: '70000',
    AERODB_REDIS_URL: 'http://x',
    AERODB_PLATFORM_KEY: 'secret-value',
    AERODB_DOMAIN: 'Bad_Domain',
  })
  expect(code).toBe(1)
  for (const name of ['AERODB_GATEWAY_PORT', 'AERODB_REDIS_URL', 'AERODB_PLATFORM_KEY', 'AERODB_DOMAIN'])
    expect(output).toContain(name)
  expect(output).not.toContain('secret-value')
  expect(await readdir(directory)).toEqual([])
})

test('a folder of a newer release is left alone', async () => {
  const secrets = JSON.stringify({ format: 999 })
  await writeFile(join(directory, 'secrets.json'), secrets)
  const { code, output } = await runUp({})
  expect(code).toBe(1)
  expect(output).toMatch(/newer release/)
  expect(await readFile(join(directory, 'secrets.json'), 'utf8')).toBe(secrets)
})

test.each(['gateway', 'control', 'metering', 'backend'])(
  '%s started alone reports every missing setting at once',
  async (service) => {
    const child = spawn(process.execPath, [join(ROOT, service, 'main.ts'), '--validate'], {
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    }
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    expect(code).toBe(2)
    for (const name of ['AERODB_INTERNAL_SECRET', 'AERODB_REDIS_URL']) expect(output).toContain(name)
  },
)
