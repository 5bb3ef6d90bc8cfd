import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/log.ts'
import { Problem } from '../runtime/problem.ts'
import { SecondChanceCache } from '../runtime/second-chance-cache.ts'
import { quotaKey } from '../tenancy/quota-counter.ts'
import type { AwayPolicy } from './config.ts'
import type { QuotaKeeper } from './monthly-quota.ts'
import type { OwnerLiveness } from './owner-liveness.ts'
import type { QuotaAnswer, QuotaLeases } from './quota-leases.ts'
import type { RecallChannel } from './recall-channel.ts'

/** Long: a recall gets unused requests back at once, and a dead owner is found by its heartbeat. */
export const QUOTA_LEASE_MS = 120_000
/** Answered requests are in the ledger within 5 s (contract 6); three times that is surely enough. */
export const LEDGER_LAG_MS = 15_000
/** The most requests that are leased at once. */
const MOST_LEASED = 2_000
/** An idle tenant's lease is given back, and what it used reported, after this. */
const IDLE_MS = 60_000
const SWEEP_MS = 5_000
const RECALL_WAIT_MS = 60
const MAX_RECALLS = 6
/** For how long a used-up quota is believed without asking. */
const USED_UP_FOR_MS = 1_000
/** How long every owner gets to report when the counter is checked against the ledger. */
const REPORT_WAIT_MS = 200
const AWAY_RETRY_MS = 500
/** A local budget is used for so long before the counter is asked for again. */
const AWAY_RENEW_MS = 5_000
/** Without a counter (`local`): so many requests of a tenant are let pass by each worker, or this part of its quota. */
const LOCAL_BUDGET = 1_000
const LOCAL_PART = 0.1

type State = {
  tenantId: string
  key: string
  epoch: string
  quota: number
  /** Requests that may be used without asking. */
  left: number
  /** Names the total that is reported; a new life of the owner begins a new one. */
  series: string
  /** Used since the series began. */
  total: number
  /** Of it the counter knows. */
  reported: number
  leaseEndsMs: number
  renewAtMs: number
  usedUpUntilMs: number
  lastUseMs: number
  waiting: { resolve: (isWithin: boolean) => void; reject: (fault: unknown) => void }[]
  isAsking: boolean
  /** The policy for Redis being away has decided: no lease. */
  isLocal: boolean
  isRecalled: boolean
  recalls: number
  /** Of the local budget: what was let pass without a counter. */
  unchecked: number
  timer: NodeJS.Timeout | undefined
}

/** Reads from the ledger how many requests a tenant has made in a month. */
export type RequestCountSource = (tenantId: string, month: string) => Promise<number>

export type LeasedQuotaKeeperOptions = {
  leases: QuotaLeases
  recalls: RecallChannel
  liveness: OwnerLiveness
  countInLedger: RequestCountSource
  whenAway: AwayPolicy
  maxTenants: number
  clock: Clock
  log: Logger
}

/**
 * The month's hard quota over all workers and gateways, answered from the requests that this worker has leased; see
 * `quota-leases.ts` for why it is exact. While neither Redis nor the ledger can be asked, the policy decides: `local` lets a
 * bounded number pass (they are reported later), `open` all, `closed` none.
 */
export class LeasedQuotaKeeper implements QuotaKeeper {
  readonly #options: LeasedQuotaKeeperOptions
  readonly #clock: Clock
  readonly #states: SecondChanceCache<State>
  readonly #active = new Set<State>()
  readonly #sweeper: NodeJS.Timeout
  /** The ledger did not answer: nobody asks it before then. */
  #ledgerAwayUntilMs = 0
  readonly #checking = new Set<string>()
  #seriesNumber = 0

  constructor(options: LeasedQuotaKeeperOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#states = new SecondChanceCache({
      max: options.maxTenants,
      // While it is asked for, or somebody waits, a second state of the tenant would use what the first one gets.
      mayGo: (state) => !state.isAsking && state.waiting.length === 0,
      dispose: (state) => void this.#report(state, true),
    })
    options.recalls.listen('quota', {
      onRecall: (tenantId) => {
        const state = this.#states.peek(tenantId)
        if (state !== undefined) void this.#report(state)
      },
      onAnswer: (tenantId) => {
        const state = this.#states.peek(tenantId)
        if (state !== undefined && state.waiting.length > 0) this.#ask(state)
      },
    })
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
    this.#sweeper.unref()
  }

  take(tenantId: string, month: string, quota: number): boolean | Promise<boolean> {
    const state = this.#stateOf(tenantId, month, quota)
    const now = this.#clock.monotonicMs()
    if (state.left > 0 && now < state.leaseEndsMs && this.#isValid(state, now) && state.waiting.length === 0) {
      state.left--
      state.total++
      state.lastUseMs = now
      if (now >= state.renewAtMs) this.#ask(state)
      return true
    }
    if (now < state.usedUpUntilMs) return false
    return new Promise((resolve, reject) => {
      state.waiting.push({ resolve, reject })
      if (state.timer === undefined) this.#ask(state)
    })
  }

  /** Others may take us for dead when our heartbeat failed: then nothing leased is used. */
  #isValid(state: State, now: number): boolean {
    return now < this.#options.liveness.validUntilMs || state.isLocal
  }

  /** Redis was away and may have lost the counters: every lease is asked for anew. */
  forgetLeases(): void {
    for (const state of this.#states.values()) {
      state.leaseEndsMs = 0
      state.usedUpUntilMs = 0
    }
  }

  /** Reports what was used and gives all leases back. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper)
    for (const state of this.#states.values()) clearTimeout(state.timer)
    await Promise.all([...this.#active].map((state) => this.#report(state, true)))
  }

  #stateOf(tenantId: string, month: string, quota: number): State {
    const key = quotaKey(tenantId, month)
    let state = this.#states.get(tenantId)
    if (state === undefined || state.key !== key) {
      state = newState(tenantId, key, quota)
      this.#states.set(tenantId, state)
      this.#active.add(state)
    } else if (state.quota !== quota) {
      // A changed quota counts at once: what was leased under the old one is not used any more.
      state.quota = quota
      state.leaseEndsMs = 0
      state.usedUpUntilMs = 0
    }
    return state
  }

  #ask(state: State): void {
    if (state.isAsking) return
    state.isAsking = true
    clearTimeout(state.timer)
    state.timer = undefined
    const askedMs = this.#clock.monotonicMs()
    this.#askOrMake(state).then(
      ({ answer, total }) => {
        state.isAsking = false
        this.#settle(state, askedMs, answer, total)
        if (state.isRecalled) void this.#report(state)
      },
      (fault: unknown) => {
        state.isAsking = false
        this.#settleWithoutCounter(state, fault)
      },
    )
  }

  async #askOrMake(state: State): Promise<{ answer: QuotaAnswer; total: number }> {
    const { leases, liveness, countInLedger } = this.#options
    for (let attempt = 0; ; attempt++) {
      this.#keepSeries(state)
      const { total } = state
      // Nothing of the old lease is used while the new one is asked for: the counter only learns of what was used before.
      state.left = 0
      const needed = Math.max(1, state.waiting.length)
      const most = Math.max(needed, MOST_LEASED)
      const answer = await leases.ask(state.key, {
        epoch: state.epoch,
        series: state.series,
        total,
        quota: state.quota,
        needed,
        most,
        deadOwners: liveness.deadNames(),
      })
      if (answer.granted >= 0) return { answer, total }
      if (attempt > 1) throw new Error('The counter was lost again')
      if (this.#clock.monotonicMs() < this.#ledgerAwayUntilMs) throw new Error('The ledger is away')
      try {
        await leases.make(state.key, await countInLedger(state.tenantId, monthOf(state.key)))
      } catch (fault) {
        this.#ledgerAwayUntilMs = this.#clock.monotonicMs() + AWAY_RETRY_MS
        throw fault
      }
    }
  }

  #settle(state: State, askedMs: number, answer: QuotaAnswer, total: number): void {
    state.reported = total
    if (answer.epoch !== state.epoch) this.#beginSeries(state)
    state.epoch = answer.epoch
    state.unchecked = 0
    state.isLocal = false
    state.left = answer.granted
    state.leaseEndsMs = askedMs + QUOTA_LEASE_MS
    state.renewAtMs = askedMs + QUOTA_LEASE_MS * 0.6
    this.#active.add(state)
    if (answer.isCheckDue) void this.#check(state)
    this.#admitWaiting(state)
    if (state.waiting.length === 0) {
      state.recalls = 0
      return
    }
    if (answer.granted > 0) {
      // More came in than was asked for.
      this.#ask(state)
      return
    }
    if (answer.others > 0 && state.recalls < MAX_RECALLS) {
      state.recalls++
      state.timer = setTimeout(() => {
        state.timer = undefined
        const askAgain = (): void => {
          if (state.waiting.length > 0) this.#ask(state)
        }
        void this.#options.liveness.findDead(answer.holders).then(askAgain, askAgain)
      }, RECALL_WAIT_MS)
      return
    }
    state.recalls = 0
    state.usedUpUntilMs = this.#clock.monotonicMs() + (answer.others > 0 ? RECALL_WAIT_MS : USED_UP_FOR_MS)
    for (const { resolve } of state.waiting.splice(0)) resolve(false)
  }

  #settleWithoutCounter(state: State, fault: unknown): void {
    const { whenAway, log } = this.#options
    log.debug({ err: fault }, 'a quota is decided without its counter')
    const budget = Math.min(state.quota, Math.max(LOCAL_BUDGET, Math.floor(state.quota * LOCAL_PART)))
    const allowed =
      whenAway === 'open' ? Number.POSITIVE_INFINITY : whenAway === 'closed' ? 0 : Math.max(0, budget - state.unchecked)
    const now = this.#clock.monotonicMs()
    const granted = Math.min(allowed, Math.max(state.waiting.length, MOST_LEASED))
    state.unchecked += granted
    state.isLocal = true
    state.left = granted
    state.leaseEndsMs = now + QUOTA_LEASE_MS
    state.renewAtMs = now + AWAY_RENEW_MS
    this.#admitWaiting(state)
    const refused = state.waiting.splice(0)
    for (const { reject } of refused) {
      reject(
        new Problem(503, 'quota_unavailable', {
          detail: "The tenant's quota cannot be checked at the moment.",
          headers: { 'Retry-After': '1' },
          cause: fault,
        }),
      )
    }
  }

  #admitWaiting(state: State): void {
    const admitted = Math.min(state.waiting.length, state.left)
    state.left -= admitted
    state.total += admitted
    if (admitted > 0) state.lastUseMs = this.#clock.monotonicMs()
    for (const { resolve } of state.waiting.splice(0, admitted)) resolve(true)
  }

  /** Reports what was used and gives the rest back; the next request asks again. */
  async #report(state: State, isLast = false): Promise<void> {
    state.isRecalled = state.isAsking
    if (state.isAsking) return
    if (state.total === state.reported && state.left === 0 && state.leaseEndsMs === 0) {
      this.#active.delete(state)
      return
    }
    this.#keepSeries(state)
    const { epoch, series, total } = state
    state.left = 0
    state.leaseEndsMs = 0
    this.#active.delete(state)
    try {
      await this.#options.leases.report(state.key, { epoch, series, total }, isLast)
      if (series === state.series) state.reported = Math.max(state.reported, total)
    } catch {
      // Redis is away: it is reported with the next ask.
      this.#active.add(state)
    }
  }

  /** Others drop the totals of an owner that they took for dead: in a new life what they do not know yet begins a new one. */
  #keepSeries(state: State): void {
    if (!state.series.startsWith(`${this.#options.liveness.owner}.`)) this.#beginSeries(state)
  }

  #beginSeries(state: State): void {
    state.series = `${this.#options.liveness.owner}.${++this.#seriesNumber}`
    state.total -= state.reported
    state.reported = 0
  }

  #sweep(): void {
    const now = this.#clock.monotonicMs()
    for (const state of this.#active) {
      if (now - state.lastUseMs > IDLE_MS && state.waiting.length === 0) void this.#report(state)
    }
  }

  /** Sets the counter right by the ledger: its count is read first, then every owner reports. */
  async #check(state: State): Promise<void> {
    if (this.#checking.has(state.key)) return
    this.#checking.add(state.key)
    try {
      const count = await this.#options.countInLedger(state.tenantId, monthOf(state.key))
      await this.#options.leases.recall(state.key)
      await sleep(REPORT_WAIT_MS)
      await this.#options.leases.correct(state.key, count)
      state.usedUpUntilMs = 0
    } catch (fault) {
      this.#options.log.debug({ err: fault }, 'a quota could not be checked against the ledger')
    } finally {
      this.#checking.delete(state.key)
    }
  }
}

function monthOf(key: string): string {
  return key.slice(-7)
}

function newState(tenantId: string, key: string, quota: number): State {
  return {
    tenantId,
    key,
    epoch: '',
    quota,
    left: 0,
    series: '',
    total: 0,
    reported: 0,
    leaseEndsMs: 0,
    renewAtMs: 0,
    usedUpUntilMs: 0,
    lastUseMs: Number.NEGATIVE_INFINITY,
    waiting: [],
    isAsking: false,
    isLocal: false,
    isRecalled: false,
    recalls: 0,
    unchecked: 0,
    timer: undefined,
  }
}
