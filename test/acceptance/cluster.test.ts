import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Agent } from 'undici'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Answer, type Tenant, TestPlatform } from '../support/platform.ts'

/*
 * A cluster tenant as its client sees it: reads from standbys on request, and a dead primary that costs a moment.
 */

vi.setConfig({ testTimeout: 120_000 })

let platform: TestPlatform
let agent: Agent
let tenant: Tenant

beforeAll(async () => {
  platform = await TestPlatform.start()
  agent = platform.agent()
  tenant = await platform.createTenant('cluster', { plan: 'enterprise', isolation: 'cluster' })
  await platform.createTodos(tenant)
  await ask('/sql/v1', {
    body: { query: `create function on_standby() returns boolean language sql stable as 'select pg_is_in_recovery()'` },
  })
})

afterAll(async () => {
  await agent?.close()
  await platform?.close()
})

function ask(path: string, options: { method?: string; body?: unknown; headers?: Record<string, string> } = {}) {
  return platform.call(tenant.name, path, { key: tenant.keys.service, agent, ...options })
}

type Node = { node: number; role: string; state: string }

async function listNodes(): Promise<Node[]> {
  return (await platform.control(`/v1/tenants/${tenant.tenant_id}/nodes`)).json.data
}

/** The postmaster of a node. */
async function findProcess(node: number): Promise<number> {
  const directory = join(platform.directory, 'tenants', `${tenant.tenant_id.replace('ten_', 'clu_')}-${node}`)
  const pid = Number((await readFile(join(directory, 'postmaster.pid'), 'utf8')).split('\n')[0])
  if (!(pid > 1)) throw new Error(`node ${node} does not run`)
  return pid
}

const FROM_REPLICA = { Prefer: 'read-replica' }
const lagOf = (answer: Answer) => answer.headers['aerodb-replica-lag-ms']

test('a read is answered by the primary, or, where it asks for it, by a standby, which says how old it may be', async () => {
  const atPrimary = await ask('/rest/v1/rpc/on_standby')
  expect(atPrimary).toMatchObject({ status: 200, json: false })
  expect(lagOf(atPrimary)).toBeUndefined()
  const atStandby = await ask('/rest/v1/rpc/on_standby', { headers: FROM_REPLICA })
  expect(atStandby).toMatchObject({ status: 200, json: true })
  expect(atStandby.headers['preference-applied']).toBe('read-replica')
  expect(lagOf(atStandby)).toMatch(/^\d+$/)
})

test('what was written longer ago than a standby says it is behind is there', async () => {
  for (let i = 0; i < 20; i++) {
    const title = `written-${i}`
    const writtenMs = performance.now()
    expect((await ask('/rest/v1/todos', { body: { title } })).status).toBe(201)
    await sleep(i * 10)
    const askedMs = performance.now()
    const read = await ask(`/rest/v1/todos?title=eq.${title}`, { headers: FROM_REPLICA })
    expect(read.status).toBe(200)
    const wroteBefore = askedMs - writtenMs
    if (wroteBefore > Number(lagOf(read)) + (performance.now() - askedMs)) expect(read.json).toHaveLength(1)
  }
  await vi.waitFor(async () => {
    const read = await ask('/rest/v1/todos?title=eq.written-19', { headers: FROM_REPLICA })
    expect(read.json).toHaveLength(1)
  })
})

test('a write that asks for a standby is written, and a tenant without standbys reads at its server', async () => {
  const written = await ask('/rest/v1/todos', { body: { title: 'with-preference' }, headers: FROM_REPLICA })
  expect(written.status).toBe(201)
  expect(lagOf(written)).toBeUndefined()
  const other = await platform.createTenant('no-cluster', { plan: 'free' })
  await platform.createTodos(other)
  const read = await platform.call('no-cluster', '/rest/v1/todos', { key: other.keys.service, headers: FROM_REPLICA })
  expect(read).toMatchObject({ status: 200, json: [] })
  expect(lagOf(read)).toBeUndefined()
})

/** Processes that serve this tenant alone. */
async function findBackends(): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 1)
  const found = await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
      return environment.split('\0').includes(`AERODB_BACKEND_TENANT=${tenant.tenant_id}`) ? [pid] : []
    }),
  )
  return found.flat()
}

test('its requests are answered by a backend of its own: what stops the shared ones does not stop it', async () => {
  const other = await platform.createTenant('beside', { plan: 'free' })
  await platform.createTodos(other)
  await vi.waitFor(async () => expect(await findBackends()).toHaveLength(1), { timeout: 20_000 })
  const read = () => ask('/rest/v1/todos?limit=1')
  await vi.waitFor(async () => expect((await read()).status).toBe(200))
  const shared = platform.endpoints.pids.backend ?? []
  for (const pid of shared) process.kill(pid, 'SIGSTOP')
  try {
    for (let i = 0; i < 20; i++) expect((await read()).status).toBe(200)
    const beside = platform
      .call('beside', '/rest/v1/todos', { key: other.keys.service })
      .then((answer) => answer.status)
    expect(await Promise.race([beside, sleep(1_000).then(() => 'waits')])).toBe('waits')
  } finally {
    for (const pid of shared) process.kill(pid, 'SIGCONT')
  }
})

test('when its own backend is killed the shared ones answer, and it comes back', async () => {
  const [before = 0] = await findBackends()
  expect(before).toBeGreaterThan(1)
  process.kill(before, 'SIGKILL')
  const statuses: number[] = []
  await vi.waitFor(
    async () => {
      statuses.push((await ask('/rest/v1/todos?limit=1')).status)
      const [now = before] = await findBackends()
      expect(now).not.toBe(before)
    },
    { timeout: 20_000, interval: 20 },
  )
  const failed = statuses.filter((status) => status !== 200)
  expect(failed.length).toBeLessThan(10)
  expect(statuses.at(-1)).toBe(200)
})

test('when the primary is killed a client waits a moment, and nothing that was acknowledged is lost', async () => {
  const acknowledged: string[] = []
  let longestGapMs = 0
  let isStopped = false
  const lanes = Array.from({ length: 4 }, async (_, lane) => {
    let lastMs = performance.now()
    for (let i = 0; !isStopped; i++) {
      const title = `kept-${lane}-${i}`
      const answer = await ask('/rest/v1/todos', { body: { title } })
      // Nothing else is answered meanwhile: not an error of the database, nor half a row.
      expect([201, 503]).toContain(answer.status)
      if (answer.status !== 201) continue
      acknowledged.push(title)
      longestGapMs = Math.max(longestGapMs, performance.now() - lastMs)
      lastMs = performance.now()
    }
  })
  await sleep(500)
  const before = (await listNodes()).find(({ role }) => role === 'primary')?.node
  process.kill(await findProcess(before ?? 0), 'SIGKILL')
  await vi.waitFor(
    async () => {
      const nodes = await listNodes()
      expect(nodes.find(({ role }) => role === 'primary')?.node).not.toBe(before)
      expect(nodes.map(({ state }) => state).toSorted()).toEqual(['serving', 'streaming', 'streaming'])
    },
    { timeout: 60_000, interval: 200 },
  )
  await sleep(500)
  isStopped = true
  await Promise.all(lanes)
  console.info(`the longest time without an acknowledged write was ${longestGapMs.toFixed(0)} ms`)
  const rows: string[] = []
  for (;;) {
    const page = await ask(`/rest/v1/todos?select=title&order=id&limit=1000&offset=${rows.length}`)
    rows.push(...page.json.map(({ title }: { title: string }) => title))
    if (page.json.length < 1000) break
  }
  const found = new Set(rows)
  expect(acknowledged.filter((title) => !found.has(title))).toEqual([])
})
