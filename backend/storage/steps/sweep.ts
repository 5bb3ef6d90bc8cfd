import type { StorageSession } from '../session.ts'
import { SweepStore } from '../stores/sweep-store.ts'
import { removeCondemned } from './discard-blobs.ts'
import type { StorageServices } from './services.ts'

const BATCH = 500

/**
 * Cleans up one tenant: ends expired uploads, removes the blobs that no object refers to (left by crashes, closed
 * connections, or a blob store that was away), counts the total anew and reports it. Two sweeps at once do no harm, and one
 * that is stopped between two batches is gone on with by the next.
 */
export async function sweepTenant(
  services: StorageServices,
  session: StorageSession,
  isStopped: () => boolean = () => false,
): Promise<void> {
  const store = new SweepStore()
  const service = session.asService()
  await services.uploads.expire(service, services.clock.nowMs())
  while (!isStopped()) {
    const versions = await store.condemnDue(service, services.clock.nowMs(), BATCH)
    if (versions.length === 0) break
    await removeCondemned(services, service, versions)
  }
  const total = await store.recount(service)
  if (total !== undefined) await services.usage.record(session.tenantId, total)
}

export type SweeperOptions = { services: StorageServices; everyMs: number; maxTenants: number }

/**
 * Sweeps the tenants that this process serves, each at most once in `everyMs`. A tenant that nobody asks for has nothing that
 * becomes garbage; what a crash left is swept when it is asked for again.
 */
export class Sweeper {
  readonly #options: SweeperOptions
  /** By tenant, least recently swept first; `undefined` once swept and not asked for since. */
  readonly #sweptAtMs = new Map<string, number>()
  #waiting: StorageSession[] = []
  #running = false
  #stopped = false

  constructor(options: SweeperOptions) {
    this.#options = options
  }

  /** Notes that a tenant is being served; costs nothing unless its sweep is due. */
  note(session: StorageSession): void {
    const { services, everyMs, maxTenants } = this.#options
    const nowMs = services.clock.nowMs()
    const sweptAtMs = this.#sweptAtMs.get(session.tenantId)
    if (this.#stopped || (sweptAtMs !== undefined && nowMs - sweptAtMs < everyMs)) return
    this.#sweptAtMs.delete(session.tenantId)
    this.#sweptAtMs.set(session.tenantId, nowMs)
    if (this.#sweptAtMs.size > maxTenants) {
      const [oldest] = this.#sweptAtMs.keys()
      if (oldest !== undefined) this.#sweptAtMs.delete(oldest)
    }
    this.#waiting.push(session)
    if (!this.#running) {
      this.#running = true
      services.background.run('sweep', () => this.#sweepWaiting())
    }
  }

  stop(): void {
    this.#stopped = true
    this.#waiting = []
  }

  /** One after the other: cleaning up never competes with serving for more than one connection. */
  async #sweepWaiting(): Promise<void> {
    const { services } = this.#options
    try {
      for (let session = this.#waiting.shift(); session !== undefined; session = this.#waiting.shift()) {
        try {
          await sweepTenant(services, session, () => this.#stopped)
        } catch (fault) {
          services.log.warn({ err: fault, tenant_id: session.tenantId }, 'a sweep failed; the next one does its work')
        }
      }
    } finally {
      this.#running = false
    }
  }
}
