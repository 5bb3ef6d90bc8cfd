import type { Clock } from '../../runtime/clock.ts'
import { inTransaction, type PostgresPool } from '../../runtime/postgres-pool.ts'
import { type ComputeFact, keepComputeFacts, lockComputeSequence, readMeasures } from '../stores/compute-store.ts'

const HOUR_MS = 3_600_000
/** Each tenant is measured when the time since has doubled what was measured, so a new server shows at once and an old one costs a row a minute. */
const FIRST_MS = 2_000
const LONGEST_MS = 60_000

/** A tenant whose own servers run: since when, and how many they are. */
export type RunningServers = { tenantId: string; startedAtMs: number; servers: number }

/** Whoever supervises servers of tenants' own tells which run. */
export type ComputeSource = {
  listRunning(): Promise<RunningServers[]>
  findRunning(tenantId: string): Promise<RunningServers | undefined>
}

/**
 * Measures how long tenants' own servers run. What is measured is kept as facts, in the transaction that notes up to when it
 * was, so nothing is measured twice by whom ever and however often it is killed; `tellComputeFacts` brings them to metering.
 * A killed control costs no running time: the server goes on, and is measured from where the last fact ended. A server that
 * dies (not: is stopped) costs what ran since its last fact, a minute at most, in the tenant's favour.
 */
export class ComputeMeter {
  readonly #pool: PostgresPool
  readonly #source: ComputeSource
  readonly #clock: Clock
  readonly #dueMs = new Map<string, number>()

  constructor(options: { pool: PostgresPool; source: ComputeSource; clock: Clock }) {
    this.#pool = options.pool
    this.#source = options.source
    this.#clock = options.clock
  }

  /** Measures those that are due. */
  async measureDue(): Promise<void> {
    const running = await this.#source.listRunning()
    const nowMs = this.#clock.nowMs()
    for (const tenantId of this.#dueMs.keys())
      if (!running.some((one) => one.tenantId === tenantId)) this.#dueMs.delete(tenantId)
    await this.#measure(running.filter(({ tenantId }) => nowMs >= (this.#dueMs.get(tenantId) ?? 0)))
    for (const { tenantId, startedAtMs } of running)
      if (nowMs >= (this.#dueMs.get(tenantId) ?? 0))
        this.#dueMs.set(tenantId, nowMs + Math.min(Math.max(nowMs - startedAtMs, FIRST_MS), LONGEST_MS))
  }

  /** Measures a tenant to this moment: called when its server is about to be stopped. */
  async measureNow(tenantId: string): Promise<void> {
    const running = await this.#source.findRunning(tenantId)
    if (running !== undefined) await this.#measure([running])
  }

  async #measure(running: readonly RunningServers[]): Promise<void> {
    if (running.length === 0) return
    await inTransaction(this.#pool, async (tx) => {
      const last = await lockComputeSequence(tx)
      const measured = await readMeasures(
        tx,
        running.map((one) => one.tenantId),
      )
      // After the lock: who measured before us has not measured into our future.
      const nowMs = this.#clock.nowMs()
      const facts = running.flatMap((one) => factsOf(one, measured.get(one.tenantId), nowMs))
      await keepComputeFacts(tx, last, facts)
    })
  }
}

/** What ran since it was last measured (or since the start), hour by hour. Pure. */
export function factsOf(running: RunningServers, measuredUntilMs: number | undefined, nowMs: number): ComputeFact[] {
  const { tenantId, startedAtMs, servers } = running
  const facts: ComputeFact[] = []
  for (let fromMs = Math.max(startedAtMs, measuredUntilMs ?? startedAtMs); fromMs < nowMs; ) {
    const endedAtMs = Math.min(nowMs, fromMs - (fromMs % HOUR_MS) + HOUR_MS)
    facts.push({ tenantId, endedAtMs, ranMs: (endedAtMs - fromMs) * servers })
    fromMs = endedAtMs
  }
  return facts
}
