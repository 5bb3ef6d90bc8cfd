/** For how long a dead owner is named: longer than any lease. */
const NAMED_FOR_MS = 60_000

/** Owners of leases that are known to have died (workers of this gateway): nobody needs to wait for their leases to end. */
export class DeadOwners {
  readonly #until = new Map<string, number>()
  #text = ''

  add(owner: string): void {
    this.#until.set(owner, performance.now() + NAMED_FOR_MS)
    this.#text = [...this.#until.keys()].join(' ')
  }

  /** Their names, separated by spaces. */
  names(): string {
    if (this.#until.size === 0) return ''
    const now = performance.now()
    for (const [owner, until] of this.#until) {
      if (until > now) continue
      this.#until.delete(owner)
      this.#text = [...this.#until.keys()].join(' ')
    }
    return this.#text
  }
}
