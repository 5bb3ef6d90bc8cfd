import type { RateDecision } from './rate-limit.ts'
import { SlidingWindow } from './sliding-window.ts'

export const WINDOW_MS = 1_000

type Waiter = (decision: RateDecision) => void

/** What a worker knows of one limit, a tenant's or a key's: the slots that it holds and the last second's uses. */
export type RateState = {
  limit: number
  slots: number
  /** As far as we know Redis counts slots as ours, whether or not we may still use them. */
  isHeld: boolean
  /** Held by other owners when last asked: for the fields that tell what remains. */
  others: number
  leaseEndsMs: number
  renewAtMs: number
  /** Until then it is known that no owner has a free slot. */
  refusedUntilMs: number
  askAgainAtMs: number
  window: SlidingWindow
  waiting: Waiter[]
  isAsking: boolean
  /** The policy for Redis being away has decided: no lease. */
  isLocal: boolean
  /** A recall came while an ask was under way; it is answered after it. */
  isRecalled: boolean
  /** Uses were taken back in this turn of the event loop. */
  isTakenBack: boolean
  /** Since when requests wait for recalls; 0 when none does. */
  shortSinceMs: number
  /** When the holders of unused slots are next looked at, whether they live, if they have not given them back by then. */
  lookAtHoldersAtMs: number
  timer: NodeJS.Timeout | undefined
}

/** The least that a worker takes at once: the limit is large against it, so several workers get along without recalls. */
export function firstSlots(limit: number): number {
  return Math.max(1, Math.floor(limit / 8))
}

/** What is left of the limit when this worker has used so many, as far as it knows. */
export function leftOf(state: RateState, used: number): number {
  return Math.max(0, state.limit - state.others - used)
}

/** What a request is told that is refused now. */
export function refusal(state: RateState, now: number): RateDecision {
  const ownFreeInMs = state.slots > 0 ? state.window.oldestLeavesInMs(now) : WINDOW_MS
  const othersFreeInMs = state.refusedUntilMs > now ? state.refusedUntilMs - now : WINDOW_MS
  return { admitted: false, remaining: 0, resetMs: Math.min(ownFreeInMs, othersFreeInMs), takenAtMs: 0 }
}

export function newRateState(limit: number): RateState {
  return {
    limit,
    slots: 0,
    isHeld: false,
    others: 0,
    leaseEndsMs: 0,
    renewAtMs: 0,
    refusedUntilMs: 0,
    askAgainAtMs: 0,
    window: new SlidingWindow(WINDOW_MS),
    waiting: [],
    isAsking: false,
    isLocal: false,
    isRecalled: false,
    isTakenBack: false,
    shortSinceMs: 0,
    lookAtHoldersAtMs: 0,
    timer: undefined,
  }
}

/** True when nothing depends on what this state remembers: no use counts any more, and nobody waits. */
export function isIdle(state: RateState, nowMs: number): boolean {
  return !state.isAsking && state.waiting.length === 0 && state.window.usedAt(nowMs) === 0
}
