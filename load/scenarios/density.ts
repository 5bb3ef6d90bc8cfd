import { freemem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { mapBounded } from '../bounded.ts'
import { COLLECTION, createLoadTenants, type LoadTenant } from '../load-tenants.ts'
import type { PlatformClient } from '../platform-client.ts'
import type { Scenario } from '../scenario.ts'
import { percentile } from '../statistics.ts'

const TENANTS = 500
const ACTIVE = 100
/** What each request asks for. */
const QUESTION = `/rest/v1/${COLLECTION}?select=id,body&limit=1`
const PAUSE_AFTER_SECONDS = 60
/** A pause is seen at the next look after the idle time; everybody has to be asleep by then. */
const ASLEEP_WITHIN_MS = 300_000
const MEASURED_MS = 30_000
/** Requests a second to all active tenants together. */
const RATE = 200
const WAKES = 20
const P95_LIMIT_MS = 100

/** Many tenants with servers of their own on one machine: most of them asleep, a hundred at work. */
export const density: Scenario = {
  name: 'density',
  title: '500 tenants with a database of their own, 100 of them active at once and the others paused',
  env: { AERODB_PAUSE_AFTER_SECONDS: String(PAUSE_AFTER_SECONDS) },
  run: async ({ client, options, onProgress }) => {
    const count = options.tenants ?? TENANTS
    const freeBefore = freemem()
    const startedMs = performance.now()
    const members = { plan: 'enterprise', isolation: 'database' }
    const tenants = await createLoadTenants(client, count, { prefix: 'density', members, rows: 3, onProgress })
    const seconds = (performance.now() - startedMs) / 1_000
    const active = tenants.slice(0, Math.min(ACTIVE, count))
    const load = new SteadyLoad(client, active)
    try {
      const asleep = await waitUntilAsleep(client, tenants.slice(active.length))
      onProgress(`${asleep} tenants are paused, ${active.length} at work`)
      load.forget()
      await sleep(MEASURED_MS)
      const busy = load.tookMs.slice()
      const used = (freeBefore - freemem()) / 1e6
      const wakes: number[] = []
      for (const tenant of tenants.slice(-Math.min(WAKES, count - active.length))) {
        const askedMs = performance.now()
        await client.demand(tenant.name, QUESTION, { key: tenant.key })
        wakes.push(performance.now() - askedMs)
      }
      const p95 = percentile(busy, 0.95)
      return {
        verdicts: [
          {
            promise: 'all that are idle are paused, and nobody else',
            measured: `${asleep} of ${count - active.length}`,
            held: asleep === count - active.length,
          },
          { promise: 'no request fails', measured: `${load.failed} failed`, held: load.failed === 0 },
          {
            promise: `p95 of the active under ${P95_LIMIT_MS} ms`,
            measured: `${p95.toFixed(1)} ms`,
            held: p95 < P95_LIMIT_MS,
          },
        ],
        figures: [
          ['made in', `${seconds.toFixed(0)} s`],
          [
            'the active',
            `p50 ${percentile(busy, 0.5).toFixed(1)} ms, p95 ${p95.toFixed(1)} ms of ${busy.length} at ${RATE} req/s`,
          ],
          [
            'wake while the others work',
            `p50 ${percentile(wakes, 0.5).toFixed(0)} ms, p95 ${percentile(wakes, 0.95).toFixed(0)} ms of ${wakes.length} (goal: p95 300 ms)`,
          ],
          ['memory taken from the machine, page cache left out', `${used.toFixed(0)} MB`],
        ],
      }
    } finally {
      await load.stop()
    }
  },
}

/** Asks each of some tenants in turn, at a constant rate, whatever they answer. */
class SteadyLoad {
  readonly #client: PlatformClient
  readonly #tenants: readonly LoadTenant[]
  readonly #timer: NodeJS.Timeout
  readonly #underWay = new Set<Promise<void>>()
  #next = 0
  tookMs: number[] = []
  failed = 0

  constructor(client: PlatformClient, tenants: readonly LoadTenant[]) {
    this.#client = client
    this.#tenants = tenants
    this.#timer = setInterval(() => this.#tick(), 1_000 / RATE)
  }

  forget(): void {
    this.tookMs = []
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#underWay)
  }

  #tick(): void {
    const tenant = this.#tenants[this.#next++ % this.#tenants.length]
    if (tenant === undefined) return
    const asked = this.#ask(tenant).finally(() => this.#underWay.delete(asked))
    this.#underWay.add(asked)
  }

  async #ask(tenant: LoadTenant): Promise<void> {
    const askedMs = performance.now()
    const { status } = await this.#client.call(tenant.name, QUESTION, { key: tenant.key }).catch(() => ({ status: 0 }))
    if (status !== 200) this.failed++
    this.tookMs.push(performance.now() - askedMs)
  }
}

/** @returns how many of them are paused, once all are or the time is over. */
async function waitUntilAsleep(client: PlatformClient, tenants: readonly LoadTenant[]): Promise<number> {
  let awake = [...tenants]
  for (const deadline = performance.now() + ASLEEP_WITHIN_MS; performance.now() < deadline; await sleep(2_000)) {
    const states = await mapBounded(awake, 8, (tenant) => client.control(`/v1/tenants/${tenant.id}`))
    awake = awake.filter((_, i) => (states[i] as { status: string }).status !== 'paused')
    if (awake.length === 0) break
  }
  return tenants.length - awake.length
}
