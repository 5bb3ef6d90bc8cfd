import type { Clock } from '../runtime/clock.ts'
import type { Upstream, UpstreamCall, UpstreamHandler, UpstreamRequest } from './upstream.ts'

/** What a backend of ours answers over its link: bodies that both sides hold whole anyway. */
const OVER_LINK = /^\/(?:rest\/v1|schema\/v1|sql\/v1|health)(?=[/?]|$)/
/** A backend that has no link, or none at the moment, is asked for one so often. */
const DIAL_EVERY_MS = 500

/** An upstream whose connection stands or does not. */
export type DialledUpstream = Upstream & { readonly isOpen: boolean; open(): void }

/**
 * A backend of our own: rows, collections and health over its link once that stands; everything that is streamed (files), and
 * everything until then, over HTTP, so that no download shares a connection with queries and no request waits for a dial.
 */
export class OwnBackendUpstream implements Upstream {
  readonly origin: string
  readonly #link: DialledUpstream
  readonly #http: Upstream
  readonly #streamed: Upstream
  readonly #clock: Clock
  #nextDialMs = Number.NEGATIVE_INFINITY

  /** @param http takes the link's requests until it stands; `streamed` takes the others, always. */
  constructor(link: DialledUpstream, http: Upstream, streamed: Upstream, clock: Clock) {
    this.origin = http.origin
    this.#link = link
    this.#http = http
    this.#streamed = streamed
    this.#clock = clock
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    if (!OVER_LINK.test(request.target)) return this.#streamed.send(request, handler)
    if (this.#link.isOpen) return this.#link.send(request, handler)
    const nowMs = this.#clock.monotonicMs()
    if (nowMs >= this.#nextDialMs) {
      this.#nextDialMs = nowMs + DIAL_EVERY_MS
      this.#link.open()
    }
    return this.#http.send(request, handler)
  }

  async close(): Promise<void> {
    await Promise.all([this.#link.close(), this.#http.close(), this.#streamed.close()])
  }
}
