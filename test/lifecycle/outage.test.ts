import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Tenant, TestPlatform } from '../support/platform.ts'

/*
 * Whatever part of the platform dies or hangs is back without hands. Clients measure the outage: they ask again and again, and
 * what counts is the longest time without a good answer.
 */

vi.setConfig({ testTimeout: 90_000, hookTimeout: 180_000 })

const ASK_EVERY_MS = 50
/** A client gives up on an answer that has not come by then, and asks again. */
const PATIENCE_MS = 1_000
/** What died is back within this, what hangs within as much after it was found to hang. */
const BACK_WITHIN_MS = 5_000
const FOUND_TO_HANG_MS = 10_000
/** Good answers for so long are no coincidence. */
const STEADY_MS = 1_000

let platform: TestPlatform
let own: Tenant
const clients: Client[] = []

beforeAll(async () => {
  platform = await TestPlatform.start()
  const shared = await platform.createTenant('shared', { plan: 'enterprise' })
  own = await platform.createTenant('own', { plan: 'enterprise', isolation: 'database' })
  for (const tenant of [shared, own]) {
    await platform.createTodos(tenant)
    const { service } = tenant.keys
    clients.push(new Client(tenant.name, () => platform.call(tenant.name, '/rest/v1/todos', { key: service })))
  }
  clients.push(new Client('platform API', () => platform.control(`/v1/tenants/${shared.tenant_id}`)))
  clients.push(new Client('usage', () => platform.usage(shared)))
})

afterAll(async () => {
  await Promise.all(clients.map((client) => client.stop()))
  await platform?.close()
})

/** Asks without end, one request after the other, and notes when it was answered well. */
class Client {
  readonly name: string
  readonly #ask: () => Promise<{ status: number }>
  readonly #running: Promise<void>
  readonly #goodAtMs = [performance.now()]
  #isOver = false

  constructor(name: string, ask: () => Promise<{ status: number }>) {
    this.name = name
    this.#ask = ask
    this.#running = this.#run()
  }

  get lastGoodMs(): number {
    return this.#goodAtMs.at(-1) ?? 0
  }

  /** The longest time without a good answer since `sinceMs`. */
  outageMs(sinceMs: number): number {
    const times = [...this.#goodAtMs.filter((atMs) => atMs > sinceMs - PATIENCE_MS), performance.now()]
    return Math.max(...times.slice(1).map((atMs, i) => atMs - (times[i] ?? atMs)))
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const answer = this.#ask().then(
        ({ status }) => status === 200,
        () => false,
      )
      if (await Promise.race([answer, sleep(PATIENCE_MS, false)])) this.#goodAtMs.push(performance.now())
      await sleep(ASK_EVERY_MS)
    }
  }
}

async function pidOf(part: string): Promise<number> {
  if (part === 'own server') {
    const file = join(platform.directory, 'tenants', own.tenant_id, 'postmaster.pid')
    return Number((await readFile(file, 'utf8')).split('\n')[0])
  }
  const [pid] = (await platform.refresh()).pids[part] ?? []
  return pid ?? 0
}

/** Sends the signal and waits until another process is in its place and everybody is served again. @returns each client's outage. */
async function strike(part: string, signal: NodeJS.Signals): Promise<Record<string, number>> {
  const pid = await pidOf(part)
  expect(pid).toBeGreaterThan(1)
  const struckMs = performance.now()
  process.kill(pid, signal)
  await vi.waitFor(
    async () => {
      const { pids } = await platform.refresh()
      if (part === 'own server') expect(await pidOf(part)).not.toBe(pid)
      else {
        expect(pids[part]).not.toContain(pid)
        expect(pids[part]?.length ?? 0).toBeGreaterThan(0)
      }
    },
    { timeout: 40_000, interval: 100 },
  )
  const replacedMs = performance.now()
  await vi.waitFor(
    () => {
      for (const client of clients) expect(client.lastGoodMs).toBeGreaterThan(replacedMs + STEADY_MS)
    },
    { timeout: 30_000, interval: 100 },
  )
  return Object.fromEntries(clients.map((client) => [client.name, Math.round(client.outageMs(struckMs))]))
}

const longest = (outages: Record<string, number>) => Math.max(...Object.values(outages))

test.each(['postgres', 'own server', 'backend', 'gateway', 'metering', 'control', 'redis'])(
  'a dead %s is back, and nobody waits for an answer for five seconds',
  async (part) => {
    const outages = await strike(part, 'SIGKILL')
    expect(longest(outages), JSON.stringify(outages)).toBeLessThan(BACK_WITHIN_MS)
  },
)

test.each(['backend', 'gateway', 'metering', 'control'])(
  'a %s that hangs is found, ended and replaced',
  async (part) => {
    const outages = await strike(part, 'SIGSTOP')
    expect(longest(outages), JSON.stringify(outages)).toBeLessThan(FOUND_TO_HANG_MS + BACK_WITHIN_MS)
  },
)
