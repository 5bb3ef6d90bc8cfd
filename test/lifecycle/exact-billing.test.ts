import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeLogger } from '../../runtime/log.ts'
import { connectRedis, whenRedisReady } from '../../runtime/redis.ts'
import { type Tenant, TestPlatform } from '../support/platform.ts'

const CLIENTS = 6
const soon = { timeout: 30_000, interval: 100 }
let platform: TestPlatform

beforeAll(async () => {
  platform = await TestPlatform.start()
})
afterAll(() => platform?.close())

test('whatever dies behind the gateway, the bill has each answer that clients received, to the unit', async () => {
  const tenant = await platform.createTenant('exact', { plan: 'enterprise' })
  const load = new CountedLoad(tenant)
  await platform.createTodos(tenant)
  load.note(201)
  load.start()
  for (const victim of ['metering', 'redis', 'postgres', 'backend', 'control', 'redis', 'metering'] as const) {
    if (victim === 'redis') await forgetRedis()
    await kill(victim)
    await load.untilServed()
  }
  await load.stop()
  expect(load.unanswered).toBe(0)
  await expect.poll(() => billed(tenant), soon).toEqual(load.admitted())
  await reconcile(tenant, load.total())
})

test('whatever part of the gateway dies, no answer goes unbilled, and nothing is billed that was not asked', async () => {
  const tenant = await platform.createTenant('killed', { plan: 'enterprise' })
  const load = new CountedLoad(tenant)
  await platform.createTodos(tenant)
  load.note(201)
  load.start()
  for (const victims of [1, 1, 2]) {
    const { pids } = await platform.refresh()
    for (const pid of (pids.gateway ?? []).slice(0, victims)) process.kill(pid, 'SIGKILL')
    await load.untilServed()
  }
  // And all that there is of it: the process that holds the workers, too.
  const { pids } = await platform.refresh()
  for (const pid of [await parentOf(pids.gateway?.[0]), ...(pids.gateway ?? [])]) process.kill(pid, 'SIGKILL')
  await load.untilServed()
  await load.stop()
  const received = load.admitted()
  await expect
    .poll(async () => {
      const now = await billed(tenant)
      return Object.entries(received).every(([status, count]) => (now[status] ?? 0) >= count)
    }, soon)
    .toBe(true)
  await reconcile(tenant)
  const total = Object.values(await billed(tenant)).reduce((sum, count) => sum + count, 0)
  // An answer that was cut off was served: it may be billed. Nothing else may.
  expect(total).toBeLessThanOrEqual(load.total() + load.unanswered)
})

/** Clients that read and write without end, and count what they received. */
class CountedLoad {
  readonly #tenant: Tenant
  readonly #received = new Map<number, number>()
  #clients: Promise<void>[] = []
  #isRunning = false
  unanswered = 0

  constructor(tenant: Tenant) {
    this.#tenant = tenant
  }

  start(): void {
    this.#isRunning = true
    this.#clients = Array.from({ length: CLIENTS }, (_, i) => this.#run(i))
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    await Promise.all(this.#clients)
  }

  note(status: number): void {
    this.#received.set(status, (this.#received.get(status) ?? 0) + 1)
  }

  /** Answers by status that the tenant's quota admitted: only the gateway itself refuses otherwise. */
  admitted(): Record<string, number> {
    const entries = [...this.#received].filter(([status]) => status < 300 || status >= 500)
    return Object.fromEntries(entries.map(([status, count]) => [String(status), count]))
  }

  total(): number {
    return Object.values(this.admitted()).reduce((sum, count) => sum + count, 0)
  }

  /** Waits until reads and writes are answered well again. */
  async untilServed(): Promise<void> {
    const before = (this.#received.get(200) ?? 0) + (this.#received.get(201) ?? 0)
    const now = () => (this.#received.get(200) ?? 0) + (this.#received.get(201) ?? 0)
    await expect.poll(now, soon).toBeGreaterThan(before + 100)
  }

  async #run(client: number): Promise<void> {
    const { name, keys } = this.#tenant
    for (let n = 0; this.#isRunning; n++) {
      const body = n % 3 === 0 ? { title: `${client} ${n}` } : undefined
      try {
        const path = body === undefined ? '/rest/v1/todos?limit=1' : '/rest/v1/todos'
        const answer = await platform.call(name, path, { key: keys.service, ...(body === undefined ? {} : { body }) })
        this.note(answer.status)
      } catch {
        this.unanswered += 1
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }
}

async function kill(name: string): Promise<void> {
  const [pid] = (await platform.refresh()).pids[name] ?? []
  if (pid === undefined) throw new Error(`${name} is not running`)
  process.kill(pid, 'SIGKILL')
}

async function parentOf(pid: number | undefined): Promise<number> {
  return Number(/^PPid:\s+(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
}

async function forgetRedis(): Promise<void> {
  const redis = connectRedis({
    urls: [platform.endpoints.redis_url],
    connectionName: 'test',
    log: makeLogger('test', 'silent'),
    whenAway: 'fail-fast',
  })
  await whenRedisReady(redis, 10_000)
  await redis.flushall()
  redis.disconnect()
}

async function billed(tenant: Tenant): Promise<Record<string, number>> {
  return (await platform.usage(tenant)).json?.resources?.api_requests?.by_status ?? {}
}

/** Rejects when spool, ledger, usage and what clients received do not agree. */
function reconcile(tenant: Tenant, responses?: number) {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const count = responses === undefined ? [] : ['--responses', String(responses)]
  const args = ['run', '--silent', 'reconcile', '--', '--tenant', tenant.tenant_id, ...count]
  const env = { ...process.env, AERODB_DATA_DIR: platform.directory }
  return promisify(execFile)('npm', args, { cwd: root, env })
}
