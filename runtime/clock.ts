/** Time as an argument: everything that asks for the time receives a `Clock`, so tests assert exact values. */
export type Clock = {
  /** Wall time in milliseconds since the Unix epoch (UTC). */
  nowMs(): number
  /** Monotonic time in milliseconds; only differences mean anything. */
  monotonicMs(): number
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
}

/** A clock for tests that moves only when told to. */
export class ManualClock implements Clock {
  #nowMs: number

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  advance(byMs: number): void {
    this.#nowMs += byMs
  }
}
