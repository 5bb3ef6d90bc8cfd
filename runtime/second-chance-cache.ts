/** How many that may not go are looked at for each that comes, at most: a look costs about as much as a use. */
const KEPT_AT_ONCE = 16
const PUSHED_OUT_AT_ONCE = 2

type Slot<Value> = { value: Value; wasUsed: boolean }

/**
 * A bounded cache by text that forgets roughly what was not used for longest: the oldest entry goes, unless it was used since it
 * was looked at last (the CLOCK algorithm). A use costs one look-up and one mark, where keeping an exact order touches five
 * further places in memory, which is what counts when ten thousand entries are used in turn.
 */
export class SecondChanceCache<Value extends object> {
  readonly #max: number
  readonly #dispose: (value: Value, key: string) => void
  readonly #mayGo: (value: Value) => boolean
  /** In the order in which they were put in or last spared. */
  readonly #slots = new Map<string, Slot<Value>>()

  /**
   * @param options.dispose gets each value that goes: pushed out, deleted or replaced.
   * @param options.mayGo says of a value whether it may be pushed out now. While those that were looked at may not, the cache
   * grows past `max`, and shrinks again later.
   */
  constructor(options: {
    max: number
    dispose?: (value: Value, key: string) => void
    mayGo?: (value: Value) => boolean
  }) {
    this.#max = options.max
    this.#dispose = options.dispose ?? (() => {})
    this.#mayGo = options.mayGo ?? (() => true)
  }

  get size(): number {
    return this.#slots.size
  }

  /** The value, which counts as used. */
  get(key: string): Value | undefined {
    const slot = this.#slots.get(key)
    if (slot === undefined) return undefined
    slot.wasUsed = true
    return slot.value
  }

  /** The value, without counting as used. */
  peek(key: string): Value | undefined {
    return this.#slots.get(key)?.value
  }

  set(key: string, value: Value): void {
    const slot = this.#slots.get(key)
    if (slot !== undefined) {
      const { value: replaced } = slot
      slot.value = value
      slot.wasUsed = true
      if (replaced !== value) this.#dispose(replaced, key)
      return
    }
    // More than one goes only after it grew past its bound: so it gets back there, a little with each that comes.
    for (let i = 0; i < PUSHED_OUT_AT_ONCE && this.#slots.size >= this.#max && this.#pushOut(); i++);
    this.#slots.set(key, { value, wasUsed: false })
  }

  delete(key: string): void {
    const slot = this.#slots.get(key)
    if (slot === undefined) return
    this.#slots.delete(key)
    this.#dispose(slot.value, key)
  }

  *values(): IterableIterator<Value> {
    for (const { value } of this.#slots.values()) yield value
  }

  *entries(): IterableIterator<[string, Value]> {
    for (const [key, { value }] of this.#slots) yield [key, value]
  }

  /**
   * Ends with the first that was not used: at the latest with the one that it began with, whose mark is gone by then.
   * @returns false when none of those that were looked at may go.
   */
  #pushOut(): boolean {
    let kept = 0
    for (const [key, slot] of this.#slots) {
      this.#slots.delete(key)
      if (!slot.wasUsed && this.#mayGo(slot.value)) {
        this.#dispose(slot.value, key)
        return true
      }
      if (!slot.wasUsed && ++kept > KEPT_AT_ONCE) {
        this.#slots.set(key, slot)
        return false
      }
      slot.wasUsed = false
      this.#slots.set(key, slot)
    }
    return false
  }
}
