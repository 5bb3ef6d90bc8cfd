/** Buckets of one microsecond up to 10 ms, of 0.1 ms up to a second, and one for all above. */
const FINE_US = 10_000
const COARSE_STEP_US = 100
const COARSE = 9_900

/** Counts latencies in fixed memory; percentiles are exact to a microsecond below 10 ms. */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(FINE_US + COARSE + 1)
  #total = 0
  #maxUs = 0

  record(latencyMs: number): void {
    const us = Math.max(0, Math.round(latencyMs * 1_000))
    const bucket = us < FINE_US ? us : Math.min(FINE_US + Math.floor((us - FINE_US) / COARSE_STEP_US), FINE_US + COARSE)
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#total++
    this.#maxUs = Math.max(this.#maxUs, us)
  }

  get count(): number {
    return this.#total
  }

  get maxMs(): number {
    return this.#maxUs / 1_000
  }

  /** The latency in milliseconds that `fraction` of all stay within; 0 of nothing. */
  percentileMs(fraction: number): number {
    const wanted = Math.ceil(this.#total * fraction)
    let seen = 0
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      seen += this.#counts[bucket] ?? 0
      if (seen >= wanted && seen > 0)
        return (bucket < FINE_US ? bucket : FINE_US + (bucket - FINE_US) * COARSE_STEP_US) / 1_000
    }
    return 0
  }
}
