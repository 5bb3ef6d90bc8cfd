import type { Logger } from '../runtime/log.ts'
import type { Exchange } from './exchange.ts'

/**
 * One line for each request, or for a part of them. Server faults are always logged. Queries are not: they may hold keys.
 */
export class AccessLog {
  readonly #log: Logger
  readonly #sample: number
  #due = 0

  /** @param sample the part of requests that is logged, 0 to 1. */
  constructor(log: Logger, sample: number) {
    this.#log = log
    this.#sample = sample
  }

  /** Evenly spaced rather than at random: of every 1/sample requests exactly one. */
  write(exchange: Exchange, status: number, egressBytes: number, durationMs: number): void {
    this.#due += this.#sample
    if (this.#due < 1 && status < 500) return
    if (this.#due >= 1) this.#due -= 1
    this.#log.info(
      {
        request_id: exchange.requestId,
        host: exchange.host,
        tenant_id: exchange.tenant?.snapshot.tenant_id,
        method: exchange.method,
        path: exchange.path,
        status,
        bytes: egressBytes,
        duration_ms: Math.round(durationMs * 100) / 100,
        address: exchange.client.address,
      },
      'access',
    )
  }
}
