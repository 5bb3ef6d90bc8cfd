/** The moments of the last second's uses, oldest first: a ring that grows with what is used, never with what is allowed. */
export class SlidingWindow {
  readonly #lengthMs: number
  #times = new Float64Array(8)
  #head = 0
  #size = 0

  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs
  }

  /** How many uses lie within the window that ends at `nowMs`. */
  usedAt(nowMs: number): number {
    const gone = nowMs - this.#lengthMs
    while (this.#size > 0 && (this.#times[this.#head] ?? 0) <= gone) {
      this.#head = (this.#head + 1) & (this.#times.length - 1)
      this.#size--
    }
    return this.#size
  }

  add(nowMs: number): void {
    if (this.#size === this.#times.length) this.#grow()
    this.#times[(this.#head + this.#size) & (this.#times.length - 1)] = nowMs
    this.#size++
  }

  /** Takes a use back that was added at `atMs`; nothing when it has left the window. */
  remove(atMs: number): void {
    const mask = this.#times.length - 1
    // Looked for from the newest on: what is taken back was added a moment ago.
    let place = this.#size - 1
    while (place >= 0 && this.#times[(this.#head + place) & mask] !== atMs) place--
    if (place < 0) return
    for (let i = place; i < this.#size - 1; i++)
      this.#times[(this.#head + i) & mask] = this.#times[(this.#head + i + 1) & mask] ?? 0
    this.#size--
  }

  /** Milliseconds until the oldest use leaves the window; 0 when there is none. */
  oldestLeavesInMs(nowMs: number): number {
    return this.#size === 0 ? 0 : Math.max(0, (this.#times[this.#head] ?? 0) + this.#lengthMs - nowMs)
  }

  #grow(): void {
    const grown = new Float64Array(this.#times.length * 2)
    for (let i = 0; i < this.#size; i++) grown[i] = this.#times[(this.#head + i) & (this.#times.length - 1)] ?? 0
    this.#times = grown
    this.#head = 0
  }
}
