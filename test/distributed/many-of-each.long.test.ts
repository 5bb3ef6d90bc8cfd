import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { monthOf } from '../../metering/month.ts'
import { reconcile } from '../../metering/reconciliation.ts'
import { surveySpools } from '../../metering/spool-survey.ts'
import { makeLogger } from '../../runtime/log.ts'
import { makePostgresPool } from '../../runtime/postgres-pool.ts'
import { type Kind, ManyOfEach } from '../support/many-of-each.ts'
import type { Tenant } from '../support/platform.ts'

/*
 * Three gateways, two controls, sinks, backends and servers of the shared tier, and a Redis Cluster, under a load that never
 * ends. Clients come through what stands for a load balancer: it asks gateways whether they are ready, and takes another one
 * where nobody accepts a connection.
 */

const CLIENTS = 8
const ALL: readonly (readonly [Kind, number])[] = [
  ['metering', 0],
  ['metering', 1],
  ['control', 0],
  ['control', 1],
  ['backend', 0],
  ['backend', 1],
  ['gateway', 0],
  ['gateway', 1],
  ['gateway', 2],
]
const soon = { timeout: 60_000, interval: 200 }
let many: ManyOfEach
let tenants: Tenant[]

beforeAll(async () => {
  many = await ManyOfEach.start()
  tenants = []
  for (const name of ['many-a', 'many-b', 'many-c', 'many-d']) tenants.push(await many.createTenant(name))
  for (const tenant of tenants) await createNotes(tenant)
}, 300_000)
/** One at a time; a test that fails leaves none behind. */
let load: Load | undefined
afterEach(() => load?.stop())
afterAll(() => many?.close(), 120_000)

async function beginLoad(): Promise<Load> {
  load = new Load()
  await load.untilServed()
  return load
}

/** What every tenant has received so far, by name. */
const received = new Map<string, number>()
const unanswered = new Map<string, number>()
const acknowledged = new Map<string, string[]>()

async function createNotes(tenant: Tenant): Promise<void> {
  const [port = 0] = many.gateways()
  const answer = await many.call(port, tenant.name, '/schema/v1/collections', {
    key: tenant.keys.service,
    body: { name: 'notes', columns: [{ name: 'title', type: 'text', nullable: false }] },
  })
  expect(answer.status, answer.text).toBe(201)
  received.set(tenant.name, 1)
  unanswered.set(tenant.name, 0)
  acknowledged.set(tenant.name, [])
}

type Failure = { tenant: string; gateway: number; what: string }

/** Clients that write and read back, one request at a time each. */
class Load {
  readonly failures: Failure[] = []
  served = 0
  #isRunning = true
  readonly #clients: Promise<void>[]
  readonly #checking: Promise<void>
  #gateways = many.gateways()
  static #serial = 0

  constructor() {
    this.#checking = this.#check()
    this.#clients = Array.from({ length: CLIENTS }, (_, i) => this.#run(tenants[i % tenants.length] as Tenant, i))
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    await Promise.all([this.#checking, ...this.#clients])
  }

  /** Waits until so many more were answered well. */
  async untilServed(more = 150): Promise<void> {
    const before = this.served
    await expect.poll(() => this.served, soon).toBeGreaterThan(before + more)
  }

  async #check(): Promise<void> {
    while (this.#isRunning) {
      const ready = await many.readyGateways()
      if (ready.length > 0) this.#gateways = ready
      await sleep(100)
    }
  }

  async #run(tenant: Tenant, client: number): Promise<void> {
    const key = tenant.keys.service
    for (let n = client; this.#isRunning; n++) {
      const title = `${tenant.name} ${Load.#serial++}`
      if (n % 3 === 0) {
        const answer = await this.#ask(tenant, n, '/rest/v1/notes', { key, body: { title } })
        if (answer?.status === 201) acknowledged.get(tenant.name)?.push(title)
      } else {
        const answer = await this.#ask(tenant, n, '/rest/v1/notes?select=title&order=id.desc&limit=5', { key })
        const titles = answer?.status === 200 ? (answer.json as { title: string }[]) : []
        for (const row of titles)
          if (!row.title.startsWith(`${tenant.name} `)) throw new Error(`Another's: ${row.title}`)
      }
      await sleep(2)
    }
  }

  async #ask(tenant: Tenant, turn: number, path: string, options: { key: string; body?: unknown }) {
    for (let tries = 0; ; tries++) {
      const gateways = this.#gateways
      const gateway = gateways[(turn + tries) % gateways.length] ?? 0
      try {
        const answer = await many.call(gateway, tenant.name, path, options)
        received.set(tenant.name, (received.get(tenant.name) ?? 0) + 1)
        if (answer.status < 300) this.served++
        else this.failures.push({ tenant: tenant.name, gateway, what: `${answer.status} ${answer.text.slice(0, 200)}` })
        return answer
      } catch (fault) {
        // Nobody took it: a load balancer asks another one.
        if ((fault as NodeJS.ErrnoException).code === 'ECONNREFUSED' && tries < 100) {
          if (tries >= gateways.length) await sleep(20)
          continue
        }
        unanswered.set(tenant.name, (unanswered.get(tenant.name) ?? 0) + 1)
        this.failures.push({ tenant: tenant.name, gateway, what: String(fault) })
        return undefined
      }
    }
  }
}

async function readTitles(tenant: Tenant): Promise<Set<string>> {
  const titles = new Set<string>()
  for (let offset = 0; ; offset += 5_000) {
    const path = `/rest/v1/notes?select=title&order=id&limit=5000&offset=${offset}`
    const answer = await many.call(many.gateways()[0] ?? 0, tenant.name, path, { key: tenant.keys.service })
    if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`)
    received.set(tenant.name, (received.get(tenant.name) ?? 0) + 1)
    for (const { title } of answer.json as { title: string }[]) titles.add(title)
    if (answer.json.length < 5_000) return titles
  }
}

async function countRequests(tenant: Tenant): Promise<number> {
  const path = `/v1/tenants/${tenant.tenant_id}/usage`
  const answer = await many.call(many.gateways()[0] ?? 0, 'control', path, { key: many.platformKey })
  return answer.json?.resources?.api_requests?.total ?? 0
}

/** No acknowledged write is missing, and the bill has what clients received; what was cut off may be on it too. */
async function checkAll(): Promise<void> {
  for (const tenant of tenants) {
    const titles = await readTitles(tenant)
    expect((acknowledged.get(tenant.name) ?? []).filter((title) => !titles.has(title))).toEqual([])
    const got = received.get(tenant.name) ?? 0
    await expect.poll(() => countRequests(tenant), soon).toBeGreaterThanOrEqual(got)
    expect(await countRequests(tenant)).toBeLessThanOrEqual(got + (unanswered.get(tenant.name) ?? 0))
  }
  const pool = makePostgresPool({
    url: many.metadataUrl,
    applicationName: 'test',
    maxConnections: 2,
    log: makeLogger('test', 'silent'),
  })
  try {
    const month = monthOf(Date.now())
    const scope = { fromMs: month.startMs, untilMs: month.endMs }
    const differences = async () => {
      const spooled = (await Promise.all(many.spools.map(surveySpools))).flat()
      return (await reconcile(pool, scope, spooled)).filter(({ difference }) => difference !== undefined)
    }
    await expect.poll(differences, soon).toEqual([])
  } finally {
    await pool.end()
  }
}

test('rolling each process in turn fails no request, and bills each once', async () => {
  const load = await beginLoad()
  for (const [kind, index] of ALL) {
    await many.roll(kind, index)
    await load.untilServed()
    expect(load.failures, `after ${kind}-${index}`).toEqual([])
  }
  await load.stop()
  await checkAll()
})

test('killing each process in turn costs at most what it had in its hands, and nothing that was acknowledged', async () => {
  const load = await beginLoad()
  for (const [kind, index] of ALL) {
    const gateway = kind === 'gateway' ? many.gateways()[index] : undefined
    await many.kill(kind, index)
    await load.untilServed()
    const failed = load.failures.splice(0)
    const what = `${kind}-${index}: ${JSON.stringify(failed)}`
    // Each client has one request under way; only gateways and backends have any in their hands.
    expect(failed.length, what).toBeLessThanOrEqual(kind === 'gateway' || kind === 'backend' ? CLIENTS : 0)
    if (gateway !== undefined) for (const failure of failed) expect(failure.gateway, what).toBe(gateway)
  }
  await load.stop()
  await checkAll()
})

test("a server of the shared tier that is killed or restarted stops its own tenants' requests and nobody else's", async () => {
  const load = await beginLoad()
  for (const how of ['SIGKILL', 'SIGINT'] as const) {
    const hit: Set<string>[] = []
    for (const name of ['shared-0', 'shared-1'] as const) {
      await many.restartPostgres(name, how)
      await load.untilServed()
      hit.push(new Set(load.failures.splice(0).map(({ tenant }) => tenant)))
    }
    expect([...(hit[0] ?? [])].filter((tenant) => hit[1]?.has(tenant))).toEqual([])
  }
  // The metadata is on the way of no request.
  await many.restartPostgres('metadata', 'SIGKILL')
  await load.untilServed()
  expect(load.failures).toEqual([])
  await load.stop()
  await checkAll()
})

test('masters of the Redis Cluster that fail over one after the other fail no request, and lose nothing of the bill', async () => {
  const load = await beginLoad()
  for (const key of ['a', 'b', 'c']) {
    await many.redis.failOver(key)
    await load.untilServed()
    await many.redis.reviveAll()
    await load.untilServed()
  }
  await load.stop()
  expect(load.failures).toEqual([])
  await checkAll()
})
