import { ReplayableBody } from './replayable-body.ts'
import type { Upstream, UpstreamCall, UpstreamFault, UpstreamHandler, UpstreamRequest } from './upstream.ts'

/** The next address to try, of those that were not tried; `undefined` when there is none that does not rest. */
export type ChooseAnother = (tried: ReadonlySet<Upstream>) => Upstream | undefined

/**
 * One address of several: a request that it took nothing of (it is not there, or about to end) goes to another one. What an
 * address has taken is never asked twice.
 */
export class FailoverUpstream implements Upstream {
  readonly origin: string
  readonly #first: Upstream
  readonly #choose: ChooseAnother

  constructor(first: Upstream, choose: ChooseAnother) {
    this.origin = first.origin
    this.#first = first
    this.#choose = choose
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const call = new FailoverCall(request, handler, this.#choose)
    call.begin(this.#first)
    return call
  }

  /** The addresses belong to others. */
  async close(): Promise<void> {}
}

class FailoverCall implements UpstreamCall, UpstreamHandler {
  readonly #request: UpstreamRequest
  readonly #handler: UpstreamHandler
  readonly #choose: ChooseAnother
  readonly #body: ReplayableBody | undefined
  readonly #tried = new Set<Upstream>()
  #call: UpstreamCall | undefined
  #attempts = 0
  #isPaused = false
  #isAborted = false
  /** Bytes of the body that this attempt has sent, and that were told: those of a repetition count once. */
  #sentBytes = 0
  #toldBytes = 0

  constructor(request: UpstreamRequest, handler: UpstreamHandler, choose: ChooseAnother) {
    this.#request = request
    this.#handler = handler
    this.#choose = choose
    this.#body = request.body === null ? undefined : new ReplayableBody(request.body)
  }

  begin(upstream: Upstream): void {
    this.#tried.add(upstream)
    this.#sentBytes = 0
    const attempt = ++this.#attempts
    const call = upstream.send({ ...this.#request, body: this.#body?.open() ?? null }, this)
    // It may have failed before it came back, and the next one be under way.
    if (attempt !== this.#attempts) return
    this.#call = call
    if (this.#isAborted) call.abort()
    else if (this.#isPaused) call.pause()
  }

  abort(): void {
    this.#isAborted = true
    this.#call?.abort()
    this.#body?.close()
  }

  pause(): void {
    this.#isPaused = true
    this.#call?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#call?.resume()
  }

  onInformation(status: number, headers: readonly string[]): void {
    this.#handler.onInformation?.(status, headers)
  }

  onHead(status: number, headers: readonly string[]): void {
    this.#handler.onHead(status, headers)
  }

  onData(chunk: Buffer): void {
    this.#handler.onData(chunk)
  }

  onBodySent(bytes: number): void {
    this.#sentBytes += bytes
    if (this.#sentBytes <= this.#toldBytes) return
    this.#handler.onBodySent?.(this.#sentBytes - this.#toldBytes)
    this.#toldBytes = this.#sentBytes
  }

  onEnd(trailers: readonly string[]): void {
    this.#handler.onEnd(trailers)
  }

  onError(fault: UpstreamFault): void {
    if (this.#isAborted) return
    const isUntouched = fault.kind === 'connect' && (this.#body === undefined || this.#body.isReplayable)
    const another = isUntouched ? this.#choose(this.#tried) : undefined
    if (another === undefined) this.#handler.onError(fault)
    else this.begin(another)
  }
}
