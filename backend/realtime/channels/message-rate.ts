import type { Clock } from '../../../runtime/clock.ts'

/** A token bucket: up to one second's messages at once, refilled steadily. */
export class MessageRate {
  readonly #clock: Clock
  #perSecond: number
  #tokens: number
  #filledAtMs: number

  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond
    this.#tokens = perSecond
    this.#clock = clock
    this.#filledAtMs = clock.monotonicMs()
  }

  /** Changes the rate from now on. */
  set perSecond(value: number) {
    this.#refill()
    this.#perSecond = value
    this.#tokens = Math.min(this.#tokens, value)
  }

  /** Takes one message's worth, or says that there is none left. */
  take(count = 1): boolean {
    this.#refill()
    if (this.#tokens < count) return false
    this.#tokens -= count
    return true
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((nowMs - this.#filledAtMs) / 1_000) * this.#perSecond)
    this.#filledAtMs = nowMs
  }
}
