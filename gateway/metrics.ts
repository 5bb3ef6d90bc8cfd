import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Codes of our own problems are few; a bound keeps a mistake from making them many. */
const MAX_CODES = 60

/** The metrics of one worker. Labels are bounded: status class and problem code, never a tenant. */
export class GatewayMetrics {
  readonly registry = new Registry()
  readonly #responses: Counter<'status'>
  readonly #refusals: Counter<'code'>
  readonly #duration: Histogram
  readonly #codes = new Set<string>()
  /** Counted in plain numbers on the hot path, and handed over when somebody asks. */
  #byClass = [0, 0, 0, 0, 0, 0]

  constructor(readings: { tenants: () => number; connections: () => number }) {
    const registers = [this.registry]
    this.#responses = new Counter({
      name: 'aerodb_gateway_responses_total',
      help: 'Forwarded requests by status class',
      labelNames: ['status'],
      registers,
      collect: () => this.#handOver(),
    })
    this.#refusals = new Counter({
      name: 'aerodb_gateway_refusals_total',
      help: 'Requests that the gateway refused, by problem code',
      labelNames: ['code'],
      registers,
    })
    this.#duration = new Histogram({
      name: 'aerodb_gateway_request_duration_seconds',
      help: 'From the head of the request to the last byte of the response, forwarded requests',
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
      registers,
    })
    new Gauge({
      name: 'aerodb_gateway_cached_tenants',
      help: 'Tenants in the cache',
      registers,
      collect() {
        this.set(readings.tenants())
      },
    })
    new Gauge({
      name: 'aerodb_gateway_client_connections',
      help: 'Open connections of clients',
      registers,
      collect() {
        this.set(readings.connections())
      },
    })
    new Gauge({
      name: 'aerodb_gateway_resident_memory_bytes',
      help: 'Resident memory of the workers',
      registers,
      collect() {
        this.set(process.memoryUsage.rss())
      },
    })
  }

  responded(status: number, durationMs: number): void {
    const index = Math.floor(status / 100)
    this.#byClass[index] = (this.#byClass[index] ?? 0) + 1
    this.#duration.observe(durationMs / 1000)
  }

  refused(code: string): void {
    if (!this.#codes.has(code) && this.#codes.size >= MAX_CODES) return
    this.#codes.add(code)
    this.#refusals.inc({ code })
  }

  #handOver(): void {
    this.#byClass.forEach((count, index) => {
      if (count > 0) this.#responses.inc({ status: `${index}xx` }, count)
    })
    this.#byClass = [0, 0, 0, 0, 0, 0]
  }
}
