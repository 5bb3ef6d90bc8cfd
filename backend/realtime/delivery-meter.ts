import type { UsageWriter } from '../../metering/contract.ts'
import type { Clock } from '../../runtime/clock.ts'

const FLUSH_MS = 1_000

/**
 * Counts what is delivered to each tenant's clients and writes one usage record per tenant and second. A kill loses at most
 * that second; a stop loses nothing.
 */
export class DeliveryMeter {
  readonly #usage: UsageWriter
  readonly #clock: Clock
  #counts = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined

  constructor(usage: UsageWriter, clock: Clock) {
    this.#usage = usage
    this.#clock = clock
  }

  count(tenantId: string): void {
    this.#counts.set(tenantId, (this.#counts.get(tenantId) ?? 0) + 1)
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref()
  }

  /** Writes what was counted; resolves when it is safe from a kill. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const counts = this.#counts
    this.#counts = new Map()
    const completedAtMs = this.#clock.nowMs()
    await Promise.all(
      [...counts].map(
        ([tenantId, messages]) =>
          new Promise<void>((resolve) =>
            this.#usage.append({ kind: 'realtime', tenantId, completedAtMs, messages }, resolve),
          ),
      ),
    )
  }
}
