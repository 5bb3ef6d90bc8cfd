import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../runtime/log.ts'
import { DnsFault } from './dns-driver.ts'
import type { DnsHost } from './plan-changes.ts'
import type { ReconcileReport, TenantDns } from './tenant-dns.ts'

/** The truth that records follow: the tenants' table. */
export type DnsSource = {
  /** The host that is to resolve under `label` now. */
  findHost(label: string): Promise<DnsHost | undefined>
  listHosts(): Promise<readonly DnsHost[]>
}

export type DnsStatus = { pending: number; lastReport: ReconcileReport | undefined; lastFault: string | undefined }

export type DnsKeeperOptions = {
  dns: TenantDns
  source: DnsSource
  /** Between two whole comparisons. */
  reconcileMs: number
  /** How long a caller waits at most for the first attempt. */
  patienceMs?: number
  /** The first pause after a failure; each one after is twice as long, up to `maxPauseMs`. */
  firstPauseMs?: number
  maxPauseMs?: number
  random?: () => number
  log: Logger
}

/** The pause before attempt `attempt` + 1: exponential with full jitter on its upper half, so replicas spread out. */
export function pauseMs(attempt: number, firstMs: number, maxMs: number, random: number): number {
  const full = Math.min(firstMs * 2 ** Math.min(attempt, 30), maxMs)
  return Math.round(full / 2 + (full / 2) * random)
}

/**
 * Keeps the zone equal to the tenants' table. It holds no queue that could be lost: a changed name is settled by what the
 * table says at that moment, failures are tried again with a growing pause, and the whole zone is compared on start and
 * every `reconcileMs`. DNS that fails makes a name resolve later; it never fails a tenant's operation.
 */
export class DnsKeeper {
  readonly #options: Required<DnsKeeperOptions>
  /** Names being settled; the value is false again while its attempt runs, true when it changed meanwhile. */
  readonly #pending = new Map<string, { again: boolean; first: Promise<void> }>()
  readonly #stop = new AbortController()
  #loop: Promise<void> | undefined
  #lastReport: ReconcileReport | undefined
  #lastFault: string | undefined

  constructor(options: DnsKeeperOptions) {
    this.#options = {
      patienceMs: 2_000,
      firstPauseMs: 1_000,
      maxPauseMs: 300_000,
      random: Math.random,
      ...options,
    }
  }

  /** Begins to compare the whole zone; goes on until `stop`. */
  start(): void {
    this.#loop = (async () => {
      for (let attempt = 0; !this.#stop.signal.aborted; ) {
        const report = await this.#reconcile()
        const isWell = report !== undefined && report.failures.length === 0
        attempt = isWell ? 0 : attempt + 1
        await this.#pause(
          isWell ? this.#options.reconcileMs : Math.min(this.#pauseAfter(attempt), this.#options.reconcileMs),
        )
      }
    })()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#loop
    await Promise.allSettled([...this.#pending.values()].map(({ first }) => first))
  }

  /**
   * Call it after the commit of whatever made, deleted or restored the tenant `label`. Resolves when the records are as they
   * should be, or after `patienceMs`, or after the first failure; it never rejects, and goes on trying by itself.
   * @returns false when the records are not (known to be) right yet.
   */
  async changed(label: string): Promise<boolean> {
    const waiting = this.#pending.get(label)
    if (waiting !== undefined) {
      waiting.again = true
      return false
    }
    let isSettled = false
    const first = Promise.withResolvers<void>()
    const entry = { again: false, first: first.promise }
    this.#pending.set(label, entry)
    void (async () => {
      for (let attempt = 0; !this.#stop.signal.aborted; attempt++) {
        entry.again = false
        const fault = await this.#settle(label)
        if (fault === undefined && !entry.again) {
          isSettled = true
          break
        }
        first.resolve()
        if (fault !== undefined) await this.#pause(fault.retryAfterMs ?? this.#pauseAfter(attempt))
      }
      this.#pending.delete(label)
      first.resolve()
    })()
    await Promise.race([first.promise, this.#pause(this.#options.patienceMs)])
    return isSettled
  }

  /** For alerts: names not settled yet, and what the last comparison found. */
  get status(): DnsStatus {
    return { pending: this.#pending.size, lastReport: this.#lastReport, lastFault: this.#lastFault }
  }

  async #settle(label: string): Promise<DnsFault | undefined> {
    const { dns, source, log } = this.#options
    try {
      const conflict = await dns.settle(label, await source.findHost(label))
      if (conflict !== undefined) log.warn(conflict, 'a DNS name is not ours to write')
      return undefined
    } catch (fault) {
      log.warn({ err: fault, label }, 'a DNS name is behind')
      return fault instanceof DnsFault ? fault : new DnsFault('dns_unreachable', 'It failed.', { cause: fault })
    }
  }

  async #reconcile(): Promise<ReconcileReport | undefined> {
    const { dns, source, log } = this.#options
    try {
      const report = await dns.reconcile(() => source.listHosts())
      const { conflicts, failures, ...counts } = report
      const isNews = counts.created + counts.changed + counts.removed + conflicts.length + failures.length > 0
      if (counts.heldBack > 0)
        log.error(
          counts,
          'DNS records of most tenants have no tenant any more: none was removed. Is it the right database?',
        )
      if (isNews) log.info({ ...counts, conflicts, failed: failures.map(({ host }) => host) }, 'DNS was compared')
      this.#lastReport = report
      this.#lastFault = failures[0]?.fault.message
      return report
    } catch (fault) {
      this.#lastFault = (fault as Error).message
      log.warn({ err: fault }, 'DNS could not be compared')
      return undefined
    }
  }

  #pauseAfter(attempt: number): number {
    const { firstPauseMs, maxPauseMs, random } = this.#options
    return pauseMs(attempt, firstPauseMs, maxPauseMs, random())
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => {})
  }
}
