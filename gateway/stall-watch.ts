import type { Clock } from '../runtime/clock.ts'

const LOOK_EVERY_MS = 1_000

/**
 * Ends what makes no progress: a client that sends no more of its body, or reads no more of its answer. One timer looks at
 * all of them, so that watching costs a request nothing but an entry in a map, and only while it may stall.
 */
export class StallWatch {
  readonly #clock: Clock
  readonly #watched = new Map<object, { sinceMs: number; limitMs: number; onStall: () => void }>()
  readonly #timer: NodeJS.Timeout

  constructor(clock: Clock, lookEveryMs = LOOK_EVERY_MS) {
    this.#clock = clock
    this.#timer = setInterval(() => this.#look(), lookEveryMs)
    this.#timer.unref()
  }

  /** Calls `onStall` once when `key` has made no progress for `limitMs`. */
  begin(key: object, limitMs: number, onStall: () => void): void {
    this.#watched.set(key, { sinceMs: this.#clock.monotonicMs(), limitMs, onStall })
  }

  progress(key: object): void {
    const watched = this.#watched.get(key)
    if (watched !== undefined) watched.sinceMs = this.#clock.monotonicMs()
  }

  end(key: object): void {
    this.#watched.delete(key)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#watched.clear()
  }

  #look(): void {
    const now = this.#clock.monotonicMs()
    for (const [key, { sinceMs, limitMs, onStall }] of this.#watched) {
      if (now - sinceMs < limitMs) continue
      this.#watched.delete(key)
      onStall()
    }
  }
}
