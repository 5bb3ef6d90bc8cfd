import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { Clock } from './clock.ts'
import { Problem } from './problem.ts'

const WINDOW_MS = 60_000
/** Addresses that are remembered; the one that failed least recently is forgotten. */
const MAX_ADDRESSES = 20_000

/** How long the answer to a wrong key is held back past the limit, and how many at once; more are answered at once. */
const HOLD_MS = 1_000
const MAX_HELD = 1_000

type Failures = { count: number; endsAtMs: number }

/**
 * Slows who tries keys: past so many wrong ones in a minute from an address, the answer to each further one is held back, and
 * is a 429. A right key always opens, also from there: many may share an address, and nobody must be able to lock them out. It
 * holds a count for a bounded number of addresses, in this process alone. IPv6 counts by /64, as one subscriber has all of it.
 */
export class FailedAttempts {
  readonly #byNetwork = new LRUCache<string, Failures>({ max: MAX_ADDRESSES })
  readonly #max: number
  readonly #clock: Clock
  readonly #hold: () => Promise<unknown>
  #held = 0

  /** @param maxPerMinute wrong keys that an address may send in a minute; 0 never slows anybody. */
  constructor(maxPerMinute: number, clock: Clock, hold: () => Promise<unknown> = () => sleep(HOLD_MS)) {
    this.#max = maxPerMinute
    this.#clock = clock
    this.#hold = hold
  }

  /**
   * Counts a wrong key of the address.
   * @throws Problem `refusal` at once; past the limit 429 `too_many_failed_keys` with `Retry-After`, later.
   */
  async refuse(address: string, refusal: Problem): Promise<never> {
    if (this.#max === 0) throw refusal
    const failures = this.#count(address)
    if (failures.count <= this.#max) throw refusal
    if (this.#held < MAX_HELD) {
      this.#held++
      await this.#hold().finally(() => this.#held--)
    }
    const leftMs = failures.endsAtMs - this.#clock.monotonicMs()
    throw new Problem(429, 'too_many_failed_keys', {
      detail: 'Too many wrong keys came from this address.',
      headers: { 'Retry-After': String(Math.max(1, Math.ceil(leftMs / 1_000))) },
    })
  }

  #count(address: string): Failures {
    const network = networkOf(address)
    const nowMs = this.#clock.monotonicMs()
    let failures = this.#byNetwork.get(network)
    if (failures === undefined || failures.endsAtMs <= nowMs) {
      failures = { count: 0, endsAtMs: nowMs + WINDOW_MS }
      this.#byNetwork.set(network, failures)
    }
    failures.count++
    return failures
  }
}

/** The address, or the /64 of an IPv6 one (RFC 6177). */
function networkOf(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':')
    while (groups.length + after.length < 8) groups.push('0')
  }
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, '').toLowerCase())
    .concat('')
    .join(':')
}
