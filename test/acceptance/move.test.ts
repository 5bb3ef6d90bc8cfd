import { setTimeout as sleep } from 'node:timers/promises'
import type { Agent } from 'undici'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Tenant, TestPlatform } from '../support/platform.ts'

/*
 * A tenant moves between degrees of isolation while a client writes and reads all the time: nothing fails, nothing is lost,
 * nothing is there twice.
 */

vi.setConfig({ testTimeout: 120_000 })

let platform: TestPlatform
let agent: Agent

beforeAll(async () => {
  platform = await TestPlatform.start()
  agent = platform.agent()
})

afterAll(async () => {
  await agent?.close()
  await platform?.close()
})

/** Writes rows with ids of its own, one after the other and several at once, until stopped; notes what was acknowledged. */
class Writer {
  readonly acknowledged: string[] = []
  readonly failures: string[] = []
  #count = 0
  #stopped = false
  readonly #tenant: Tenant
  readonly #loops: Promise<void>[]

  constructor(tenant: Tenant, prefix: string, perSecond: number) {
    this.#tenant = tenant
    const lanes = 8
    this.#loops = Array.from({ length: lanes }, (_, lane) =>
      this.#run(`${prefix}-${lane}`, (1_000 * lanes) / perSecond),
    )
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
  }

  async #run(prefix: string, everyMs: number): Promise<void> {
    while (!this.#stopped) {
      const title = `${prefix}-${this.#count++}`
      const startedMs = performance.now()
      const answer = await platform.call(this.#tenant.name, '/rest/v1/todos', {
        key: this.#tenant.keys.service,
        body: { title },
        agent,
      })
      const tookMs = performance.now() - startedMs
      if (answer.status === 201) this.acknowledged.push(title)
      else this.failures.push(`${answer.status} ${answer.text}`)
      // What was acknowledged can be read, wherever the tenant is by now.
      if (this.#count % 10 === 0) await this.#read(title)
      if (tookMs < everyMs) await sleep(everyMs - tookMs)
    }
  }

  async #read(title: string): Promise<void> {
    const read = await platform.call(this.#tenant.name, `/rest/v1/todos?title=eq.${title}`, {
      key: this.#tenant.keys.service,
      agent,
    })
    if (read.status !== 200 || read.json.length !== 1) this.failures.push(`read ${read.status} ${read.text}`)
  }
}

async function move(tenant: Tenant, isolation: string): Promise<void> {
  const asked = await platform.control(`/v1/tenants/${tenant.tenant_id}`, { method: 'PATCH', body: { isolation } })
  expect(asked.status, asked.text).toBe(200)
  expect(asked.json).toMatchObject({ status: 'migrating', operation_id: expect.any(String) })
  await vi.waitFor(
    async () => {
      const operation = await platform.control(`/v1/operations/${asked.json.operation_id}`)
      expect(operation.json, JSON.stringify(operation.json)).toMatchObject({ kind: 'move', status: 'succeeded' })
    },
    { timeout: 60_000, interval: 200 },
  )
  const now = await platform.control(`/v1/tenants/${tenant.tenant_id}`)
  expect(now.json).toMatchObject({ status: 'active', isolation })
}

/** Every row of the tenant, page by page. */
async function readTitles(tenant: Tenant): Promise<{ id: number; title: string }[]> {
  const rows: { id: number; title: string }[] = []
  for (;;) {
    const page = await platform.call(tenant.name, `/rest/v1/todos?order=id&limit=1000&offset=${rows.length}`, {
      key: tenant.keys.service,
    })
    expect(page.status).toBe(200)
    rows.push(...page.json)
    if (page.json.length < 1000) return rows
  }
}

test('a tenant moves from schema to database to cluster and back while a client writes: no request fails, every acknowledged row is there once', async () => {
  const tenant = await platform.createTenant('mover', { plan: 'enterprise' })
  await platform.createTodos(tenant)
  const bucket = await platform.call('mover', '/storage/v1/bucket', {
    key: tenant.keys.service,
    body: { id: 'files', name: 'files', public: false },
  })
  expect(bucket.status, bucket.text).toBe(200)
  const uploaded = await platform.call('mover', '/storage/v1/object/files/hello.txt', {
    key: tenant.keys.service,
    body: 'hello from before',
    headers: { 'content-type': 'text/plain' },
  })
  expect(uploaded.status, uploaded.text).toBe(200)
  for (const isolation of ['database', 'cluster', 'schema']) {
    const writer = new Writer(tenant, isolation, 200)
    try {
      await sleep(500)
      await move(tenant, isolation)
      await sleep(500)
    } finally {
      await writer.stop()
    }
    expect(writer.failures).toEqual([])
    expect(writer.acknowledged.length).toBeGreaterThan(20)
    const rows = await readTitles(tenant)
    const titles = rows.map((row) => row.title).filter((title) => title.startsWith(isolation))
    expect(titles.toSorted()).toEqual(writer.acknowledged.toSorted())
    expect(new Set(rows.map((row) => row.id)).size).toBe(rows.length)
    const file = await platform.call('mover', '/storage/v1/object/files/hello.txt', { key: tenant.keys.service })
    expect(file).toMatchObject({ status: 200, text: 'hello from before' })
  }
})
