import type { Clock } from '../runtime/clock.ts'
import { Roster, type Rostered } from './roster.ts'

const LOOK_EVERY_MS = 1_000

/** One that is watched, or may be again. */
export type Watched = Rostered & { sinceMs: number; limitMs: number; onStall: () => void }

/**
 * Ends what makes no progress: a client that sends no more of its body, or reads no more of its answer; a backend that does not
 * answer. One timer looks at all of them, so that watching costs a request nothing but a place in a roster, and only while it
 * may stall.
 */
export class StallWatch {
  readonly #clock: Clock
  readonly #roster = new Roster<Watched>()
  readonly #timer: NodeJS.Timeout

  constructor(clock: Clock, lookEveryMs = LOOK_EVERY_MS) {
    this.#clock = clock
    this.#timer = setInterval(() => this.#look(), lookEveryMs)
    this.#timer.unref()
  }

  /** Calls `onStall` once when there was no progress for `limitMs`; give it back what it returned before, to watch again. */
  begin(watched: Watched | undefined, limitMs: number, onStall: () => void): Watched {
    const nowMs = this.#clock.monotonicMs()
    if (watched === undefined) {
      const made = { place: -1, sinceMs: nowMs, limitMs, onStall }
      this.#roster.enter(made)
      return made
    }
    watched.sinceMs = nowMs
    watched.limitMs = limitMs
    watched.onStall = onStall
    this.#roster.enter(watched)
    return watched
  }

  progress(watched: Watched | undefined): void {
    if (watched !== undefined) watched.sinceMs = this.#clock.monotonicMs()
  }

  end(watched: Watched | undefined): void {
    if (watched !== undefined) this.#roster.leave(watched)
  }

  close(): void {
    clearInterval(this.#timer)
    for (const watched of this.#roster.all()) this.#roster.leave(watched)
  }

  #look(): void {
    const now = this.#clock.monotonicMs()
    for (const watched of this.#roster.all()) {
      if (now - watched.sinceMs < watched.limitMs || watched.place < 0) continue
      this.#roster.leave(watched)
      watched.onStall()
    }
  }
}
