import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/log.ts'
import { SecondChanceCache } from '../runtime/second-chance-cache.ts'
import type { AwayPolicy } from './config.ts'
import type { OwnerLiveness } from './owner-liveness.ts'
import type { AllotmentAnswer, RateAllotments } from './rate-allotments.ts'
import type { RateDecision, RateLimiter } from './rate-limit.ts'
import { firstSlots, isIdle, leftOf, newRateState, type RateState, refusal, WINDOW_MS } from './rate-state.ts'
import type { RecallChannel } from './recall-channel.ts'

/** How long slots are held without asking again. Long: a recall gets unused ones back at once, and a dead owner is found by its heartbeat. */
export const RATE_LEASE_MS = 120_000
/** For how long an unanswered recall is waited for: its holder is dead or stuck. */
const RECALL_WAIT_MS = 60
/** For how long a request waits for recalls before it is refused all the same: some holder is dead and nobody knows it yet. */
const MAX_RECALL_MS = 300
/** While short of slots, a tenant's limit is asked for at most this often; requests that come meanwhile wait. */
const ASK_AGAIN_MS = 4
/** Requests of one tenant that wait for a decision; more are refused. */
const MAX_WAITING = 10_000
/** Without Redis: how long a local decision stands before Redis is tried again. */
const AWAY_RETRY_MS = 500

export type LeasedRateLimiterOptions = {
  allotments: RateAllotments
  recalls: RecallChannel
  liveness: OwnerLiveness
  whenAway: AwayPolicy
  maxTenants: number
  clock: Clock
  log: Logger
}

/**
 * The exact sliding limit over all workers and gateways, answered from the slots that this worker holds; see
 * `rate-allotments.ts` for why it is exact. A worker that is short asks for more; when others hold slots that they do not
 * use, these are recalled, and the request waits for that instead of being refused: a tenant under its limit is never
 * refused. Once every owner is known to be full, refusals are local until the first slot anywhere can come free.
 */
export class LeasedRateLimiter implements RateLimiter {
  readonly #options: LeasedRateLimiterOptions
  readonly #clock: Clock
  readonly #states: SecondChanceCache<RateState>
  /** What is being given back: nothing is asked for meanwhile, or Redis might do the two in the wrong order. */
  readonly #releasing = new Map<string, Promise<void>>()
  /** Of those whose state went, what Redis did not learn: it is given back when somebody recalls it. */
  readonly #unreturned = new Set<string>()

  constructor(options: LeasedRateLimiterOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#states = new SecondChanceCache({
      max: options.maxTenants,
      // With the last second's uses it would be forgotten that they were let in.
      mayGo: (state) => isIdle(state, this.#clock.monotonicMs()),
      dispose: (state, tenantId) => this.#letGo(tenantId, state),
    })
    options.recalls.listen('rate', {
      onRecall: (tenantId) => this.#giveBack(tenantId),
      onAnswer: (tenantId) => {
        const state = this.#states.peek(tenantId)
        if (state !== undefined && state.waiting.length > 0) this.#ask(tenantId, state)
      },
    })
  }

  take(tenantId: string, limit: number): RateDecision | Promise<RateDecision> {
    let state = this.#states.get(tenantId)
    if (state === undefined) {
      state = newRateState(limit)
      this.#states.set(tenantId, state)
    } else if (state.limit !== limit) {
      state.limit = limit
      state.leaseEndsMs = 0
      state.refusedUntilMs = 0
    }
    const now = this.#clock.monotonicMs()
    if (now < state.leaseEndsMs && (now < this.#options.liveness.validUntilMs || state.isLocal)) {
      const used = state.window.usedAt(now)
      if (used < state.slots && state.waiting.length === 0) {
        state.window.add(now)
        if (now >= state.renewAtMs) this.#renew(tenantId, state, used)
        return { admitted: true, remaining: leftOf(state, used + 1), resetMs: WINDOW_MS, takenAtMs: now }
      }
      if (used >= state.slots && now < state.refusedUntilMs) return refusal(state, now)
    }
    if (state.waiting.length >= MAX_WAITING) return { admitted: false, remaining: 0, resetMs: WINDOW_MS, takenAtMs: 0 }
    const waiting = state
    return new Promise((resolve) => {
      waiting.waiting.push(resolve)
      if (waiting.timer === undefined) this.#ask(tenantId, waiting)
    })
  }

  look(tenantId: string, limit: number): RateDecision {
    const state = this.#states.peek(tenantId)
    if (state === undefined || state.limit !== limit)
      return { admitted: true, remaining: limit, resetMs: WINDOW_MS, takenAtMs: 0 }
    const now = this.#clock.monotonicMs()
    const used = state.window.usedAt(now)
    if (used >= state.slots && now < state.refusedUntilMs) return refusal(state, now)
    return { admitted: true, remaining: leftOf(state, used), resetMs: WINDOW_MS, takenAtMs: 0 }
  }

  takeBack(tenantId: string, takenAtMs: number): void {
    const state = this.#states.peek(tenantId)
    if (state === undefined) return
    state.window.remove(takenAtMs)
    // Redis may have been told that this worker is full: others would be refused what is free now. Once for all of a turn.
    if (state.isTakenBack) return
    state.isTakenBack = true
    setImmediate(() => {
      state.isTakenBack = false
      this.#giveBack(tenantId)
    })
  }

  /** Redis was away and is back, and may have lost what was leased: nothing is admitted before it was asked again. */
  forgetLeases(): void {
    this.#unreturned.clear()
    for (const state of this.#states.values()) {
      state.leaseEndsMs = 0
      state.refusedUntilMs = 0
    }
  }

  /** Gives every lease back; its slots come free as the last second's uses leave the window. */
  async close(): Promise<void> {
    const given: Promise<void>[] = []
    for (const [tenantId, state] of this.#states.entries()) {
      clearTimeout(state.timer)
      const now = this.#clock.monotonicMs()
      if (now >= state.leaseEndsMs) continue
      given.push(this.#options.allotments.release(tenantId, state.window.usedAt(now), 0, 0).catch(() => {}))
    }
    await Promise.all(given)
  }

  /** Asks for the lease to be prolonged, with room for twice what is used; requests go on meanwhile. */
  #renew(tenantId: string, state: RateState, used: number): void {
    if (state.isAsking) return
    state.slots = Math.max(used + 1, Math.min(state.slots, 2 * used + firstSlots(state.limit)))
    this.#ask(tenantId, state)
  }

  /** Asks for enough slots for the last second's uses and all that wait; decides what waits by the answer. */
  #ask(tenantId: string, state: RateState): void {
    if (state.isAsking) return
    const releasing = this.#releasing.get(tenantId)
    if (releasing !== undefined) {
      state.isAsking = true
      void releasing.then(() => {
        state.isAsking = false
        this.#ask(tenantId, state)
      })
      return
    }
    const askedMs = this.#clock.monotonicMs()
    if (askedMs < state.askAgainAtMs) {
      this.#askLater(tenantId, state, state.askAgainAtMs - askedMs)
      return
    }
    clearTimeout(state.timer)
    state.timer = undefined
    state.isAsking = true
    const inUse = state.window.usedAt(askedMs) + state.waiting.length
    // While nothing waits requests go on being admitted until the answer is here, up to what is held: so much it must leave.
    const needed = state.waiting.length === 0 ? Math.max(inUse, state.slots) : inUse
    const wanted = Math.min(
      state.limit,
      Math.max(needed, state.slots, firstSlots(state.limit)) * (needed > state.slots ? 2 : 1),
    )
    this.#options.allotments
      .ask(
        tenantId,
        state.limit,
        wanted,
        needed,
        inUse,
        state.window.oldestLeavesInMs(askedMs),
        this.#options.liveness.deadNames(),
      )
      .then(
        (answer) => {
          state.isAsking = false
          this.#unreturned.delete(tenantId)
          this.#settle(tenantId, state, askedMs, answer)
          if (state.isRecalled) this.#giveBack(tenantId)
        },
        (fault: unknown) => {
          state.isAsking = false
          this.#settleWithoutRedis(state, fault)
        },
      )
  }

  #settle(tenantId: string, state: RateState, askedMs: number, answer: AllotmentAnswer): void {
    state.isLocal = false
    state.isHeld = true
    state.slots = answer.slots
    state.others = answer.others
    // Counted from before the question was sent: the lease ends here no later than there.
    state.leaseEndsMs = askedMs + RATE_LEASE_MS
    state.renewAtMs = askedMs + RATE_LEASE_MS * 0.6
    const now = this.#clock.monotonicMs()
    this.#admitWaiting(state, now)
    if (state.waiting.length === 0) {
      state.shortSinceMs = 0
      return
    }
    if (answer.slots + answer.others < state.limit) {
      // More came in while we asked, and there are slots that nobody holds.
      this.#ask(tenantId, state)
      return
    }
    const realNow = performance.now()
    if (answer.unknown.length > 0 && (state.shortSinceMs === 0 || realNow - state.shortSinceMs < MAX_RECALL_MS)) {
      if (state.shortSinceMs === 0) {
        state.shortSinceMs = realNow
        state.lookAtHoldersAtMs = realNow + RECALL_WAIT_MS
      }
      state.askAgainAtMs = now + ASK_AGAIN_MS
      // Whoever has not answered by then: is it dead? Answers of the living bring us here often, and do not put that off.
      if (realNow >= state.lookAtHoldersAtMs) {
        state.lookAtHoldersAtMs = realNow + RECALL_WAIT_MS
        const askAgain = () => this.#askLater(tenantId, state, 0)
        void this.#options.liveness.findDead(answer.unknown).then(askAgain, askAgain)
      }
      this.#askLater(tenantId, state, state.lookAtHoldersAtMs - realNow)
      return
    }
    state.shortSinceMs = 0
    state.askAgainAtMs = now + ASK_AGAIN_MS
    state.refusedUntilMs = answer.unknown.length > 0 ? now + RECALL_WAIT_MS : askedMs + answer.othersFreeInMs
    for (const settle of state.waiting.splice(0)) settle(refusal(state, now))
  }

  #admitWaiting(state: RateState, now: number): void {
    let used = state.window.usedAt(now)
    let admitted = 0
    while (admitted < state.waiting.length && used < state.slots) {
      state.window.add(now)
      used++
      state.waiting[admitted]?.({
        admitted: true,
        remaining: leftOf(state, used),
        resetMs: WINDOW_MS,
        takenAtMs: now,
      })
      admitted++
    }
    state.waiting.splice(0, admitted)
  }

  #settleWithoutRedis(state: RateState, fault: unknown): void {
    const { whenAway, log } = this.#options
    log.debug({ err: fault }, 'a rate limit is decided without Redis')
    const now = this.#clock.monotonicMs()
    // A lease that is still good goes on; otherwise the policy decides until Redis is tried again.
    if (now >= Math.min(state.leaseEndsMs, this.#options.liveness.validUntilMs) || state.isLocal) {
      state.isLocal = true
      state.slots = whenAway === 'local' ? state.limit : whenAway === 'open' ? Number.POSITIVE_INFINITY : 0
      state.others = 0
      state.leaseEndsMs = now + AWAY_RETRY_MS
      state.refusedUntilMs = now + AWAY_RETRY_MS
    }
    state.renewAtMs = now + AWAY_RETRY_MS
    this.#admitWaiting(state, now)
    for (const settle of state.waiting.splice(0)) settle(refusal(state, now))
  }

  /** Asks again after a while, when requests still wait then. */
  #askLater(tenantId: string, state: RateState, inMs: number): void {
    clearTimeout(state.timer)
    state.timer = setTimeout(() => {
      state.timer = undefined
      state.askAgainAtMs = 0
      if (state.waiting.length > 0) this.#ask(tenantId, state)
    }, inMs)
  }

  /** Answers a recall: keeps what the last second's uses need, gives the rest back, and says when one comes free. */
  #giveBack(tenantId: string): void {
    const state = this.#states.peek(tenantId)
    if (state === undefined) {
      if (this.#unreturned.has(tenantId)) this.#release(tenantId, 0, 0, 0)
      return
    }
    if (!state.isHeld) return
    state.isRecalled = state.isAsking
    if (state.isAsking) return
    const now = this.#clock.monotonicMs()
    const used = state.window.usedAt(now)
    const leaseLeftMs = Math.max(0, state.leaseEndsMs - now)
    // Of a lease that we gave up ourselves (Redis was away, the limit has changed) nothing is used any more.
    state.slots = leaseLeftMs === 0 ? used : Math.min(state.slots, used)
    state.isHeld = leaseLeftMs > 0 && state.slots > 0
    this.#release(tenantId, state.slots, state.window.oldestLeavesInMs(now), leaseLeftMs)
  }

  /** A state goes that nothing depends on any more: its slots go back. */
  #letGo(tenantId: string, state: RateState): void {
    clearTimeout(state.timer)
    if (state.isHeld) this.#release(tenantId, 0, 0, 0)
  }

  #release(tenantId: string, slots: number, ownFreeInMs: number, leaseLeftMs: number): void {
    const before = this.#releasing.get(tenantId) ?? Promise.resolve()
    const released = before
      .then(() => this.#options.allotments.release(tenantId, slots, ownFreeInMs, leaseLeftMs))
      .then(
        () => void this.#unreturned.delete(tenantId),
        () => {
          if (this.#unreturned.size >= this.#options.maxTenants) this.#unreturned.clear()
          if (slots === 0) this.#unreturned.add(tenantId)
        },
      )
      .then(() => {
        if (this.#releasing.get(tenantId) === released) this.#releasing.delete(tenantId)
      })
    this.#releasing.set(tenantId, released)
  }
}
