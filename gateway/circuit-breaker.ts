import type { Clock } from '../runtime/clock.ts'
import {
  type Upstream,
  type UpstreamCall,
  UpstreamFault,
  type UpstreamHandler,
  type UpstreamRequest,
} from './upstream.ts'

/** Failures in a row to connect or answer in time, after which an upstream is left alone. */
const FAILURES_TO_OPEN = 5
const FIRST_REST_MS = 500
const MAX_REST_MS = 10_000

/**
 * An upstream that is left alone for a while after it has failed some times in a row: requests fail at once instead of
 * waiting for it, or go to another address of the same backend (`Upstreams`). After each rest one request tries it.
 * Only what tells that nobody is there counts as failure: no connection, no answer in time. An error status is an answer.
 */
export class CircuitBreaker implements Upstream {
  readonly origin: string
  readonly #upstream: Upstream
  readonly #clock: Clock
  #failures = 0
  #restsUntilMs = 0
  #isTrying = false
  #refuses = false
  /** The upstream itself, resting or not: for who has nowhere else to go. What comes of it counts. */
  readonly regardless: Upstream

  constructor(upstream: Upstream, clock: Clock) {
    this.origin = upstream.origin
    this.#upstream = upstream
    this.#clock = clock
    this.regardless = {
      origin: upstream.origin,
      send: (request, handler) => upstream.send(request, new WatchedHandler(handler, this)),
      close: async () => {},
    }
  }

  /** True when it turned away the last connection at once: nobody waits by asking again. */
  get refusesAtOnce(): boolean {
    return this.#refuses
  }

  /** False while the upstream rests, or is being tried by another request. */
  get isAvailable(): boolean {
    if (this.#failures < FAILURES_TO_OPEN) return true
    return !this.#isTrying && this.#clock.monotonicMs() >= this.#restsUntilMs
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    if (this.#failures === 0) return this.#upstream.send(request, new WatchedHandler(handler, this))
    if (!this.isAvailable) {
      queueMicrotask(() => handler.onError(new UpstreamFault('connect', new Error('The upstream rests'))))
      return { abort() {}, pause() {}, resume() {} }
    }
    this.#isTrying = this.#failures >= FAILURES_TO_OPEN
    const call = this.#upstream.send(request, new WatchedHandler(handler, this))
    if (!this.#isTrying) return call
    return {
      abort: () => {
        this.#isTrying = false
        call.abort()
      },
      pause: () => call.pause(),
      resume: () => call.resume(),
    }
  }

  close(): Promise<void> {
    return this.#upstream.close()
  }

  answered(): void {
    this.#failures = 0
    this.#isTrying = false
  }

  failed(fault: UpstreamFault): void {
    if (fault.kind !== 'connect' && fault.kind !== 'timeout') {
      this.#isTrying = false
      return
    }
    this.#isTrying = false
    this.#refuses = isRefusal(fault.cause)
    this.#failures++
    if (this.#failures < FAILURES_TO_OPEN) return
    const restMs = Math.min(FIRST_REST_MS * 2 ** (this.#failures - FAILURES_TO_OPEN), MAX_REST_MS)
    this.#restsUntilMs = this.#clock.monotonicMs() + restMs
  }
}

/** Down to the system's own error: transports wrap it. */
function isRefusal(cause: unknown): boolean {
  for (let at = cause; at instanceof Error; at = at.cause) if ('code' in at && at.code === 'ECONNREFUSED') return true
  return false
}

class WatchedHandler implements UpstreamHandler {
  readonly #handler: UpstreamHandler
  readonly #breaker: CircuitBreaker

  constructor(handler: UpstreamHandler, breaker: CircuitBreaker) {
    this.#handler = handler
    this.#breaker = breaker
  }

  onInformation(status: number, headers: readonly string[]): void {
    this.#handler.onInformation?.(status, headers)
  }

  onHead(status: number, headers: readonly string[]): void {
    this.#breaker.answered()
    this.#handler.onHead(status, headers)
  }

  onData(chunk: Buffer): void {
    this.#handler.onData(chunk)
  }

  onBodySent(bytes: number): void {
    this.#handler.onBodySent?.(bytes)
  }

  onEnd(trailers: readonly string[]): void {
    this.#handler.onEnd(trailers)
  }

  onError(fault: UpstreamFault): void {
    this.#breaker.failed(fault)
    this.#handler.onError(fault)
  }
}
