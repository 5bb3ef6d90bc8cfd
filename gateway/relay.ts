import type { ServerResponse } from 'node:http'
import { Problem } from '../runtime/problem.ts'
import type { Exchange } from './exchange.ts'
import { appendFieldsForClient, lowerCase } from './forward-headers.ts'
import { hasBody, respondProblem } from './respond.ts'
import type { StallWatch, Watched } from './stall-watch.ts'
import type { Upstream, UpstreamCall, UpstreamFault, UpstreamHandler, UpstreamRequest } from './upstream.ts'

/** How an exchange ended: what is billed and counted. */
export type Outcome = { status: number; egressBytes: number; ingressBytes: number }

/** The client went away before its answer was whole (nginx's number for it); never sent, only recorded. */
const CLIENT_CLOSED_REQUEST = 499

/** Up to here a string is written without a copy on the heap. */
const ONE_WRITE_BYTES = 12 * 1024

export type RelayOptions = {
  /**
   * Called once for each relayed exchange when its outcome is known; the last byte of the response leaves only after
   * `done` was called.
   */
  beforeLastByte(exchange: Exchange, outcome: Outcome, done: () => void): void
  onFault?(exchange: Exchange, fault: UpstreamFault): void
  /** A client that reads nothing of its answer for so long is let go. */
  bodyIdleMs: number
  watch: StallWatch
}

/** Sends `request` to `upstream` and streams the answer to the exchange's response, with backpressure both ways. */
export function relay(exchange: Exchange, upstream: Upstream, request: UpstreamRequest, options: RelayOptions): void {
  const answer = new Relay(exchange, options)
  answer.begin(upstream.send(request, answer))
}

class Relay implements UpstreamHandler {
  readonly #exchange: Exchange
  readonly #options: RelayOptions
  #call: UpstreamCall | undefined
  #status = 0
  /** The length that the answer's head promises; -1 when its end is marked otherwise. */
  #expectedBytes = -1
  #egressBytes = 0
  #ingressBytes = 0
  /** The chunk with the last byte, kept back until the usage is recorded. */
  #last: Buffer | undefined
  #isOver = false
  #watched: Watched | undefined

  constructor(exchange: Exchange, options: RelayOptions) {
    this.#exchange = exchange
    this.#options = options
  }

  begin(call: UpstreamCall): void {
    this.#call = call
    const { response } = this.#exchange
    if (response.destroyed) this.#clientGone()
    else if (!this.#isOver) response.once('close', () => this.#clientGone())
  }

  onBodySent(bytes: number): void {
    this.#ingressBytes += bytes
  }

  onInformation(status: number, headers: readonly string[]): void {
    const { request, response } = this.#exchange
    // 100 answers an expectation, which is ours to answer; HTTP/1.0 knows no 1xx (RFC 9110 15.2).
    if (status === 100 || request.httpVersion !== '1.1' || response.headersSent) return
    const fields: string[] = []
    appendFieldsForClient(fields, headers)
    response.writeInformation(status, fields)
  }

  onHead(status: number, headers: readonly string[]): void {
    const exchange = this.#exchange
    this.#status = status
    const hasNoBody = exchange.method === 'HEAD' || status === 204 || status === 304
    this.#expectedBytes = hasNoBody ? 0 : contentLengthOf(headers)
    const fields = exchange.responseHeaders.slice()
    appendFieldsForClient(fields, headers)
    // The rest of a body that the upstream did not wait for would be taken for the next request.
    const { request } = exchange
    if (request.httpVersionMajor === 1 && !request.complete && hasBody(exchange)) fields.push('Connection', 'close')
    exchange.response.writeHead(status, fields)
    // A stream's head goes out at once: its first event may be long in coming.
    if (this.#expectedBytes < 0) exchange.response.flushHeaders()
  }

  onData(chunk: Buffer): void {
    this.#egressBytes += chunk.length
    if (this.#egressBytes === this.#expectedBytes) {
      this.#last = chunk
      return
    }
    const { response } = this.#exchange
    if (response.write(chunk) || this.#call === undefined) return
    const call = this.#call
    call.pause()
    const { watch, bodyIdleMs } = this.#options
    this.#watched = watch.begin(this.#watched, bodyIdleMs, () => response.destroy())
    response.once('drain', () => {
      watch.end(this.#watched)
      call.resume()
    })
  }

  onEnd(trailers: readonly string[] = []): void {
    this.#finish(this.#status, () => {
      const { response } = this.#exchange
      if (trailers.length > 0) addTrailers(response, trailers)
      const last = this.#last
      if (last === undefined) response.end()
      // A small body goes as a string, which Node joins to the head: one write of one piece is cheaper than a vector of two.
      else if (last.length <= ONE_WRITE_BYTES) response.end(last.toString('latin1'), 'latin1')
      else response.end(last)
    })
  }

  onError(fault: UpstreamFault): void {
    const exchange = this.#exchange
    this.#options.onFault?.(exchange, fault)
    if (exchange.response.headersSent || this.#status !== 0) {
      // The head is out: only a broken connection tells the client that the body is not whole.
      this.#finish(this.#status, () => exchange.response.destroy())
      return
    }
    const problem = fault.cause instanceof Problem ? fault.cause : problemOf(fault)
    this.#finish(problem.status, () => respondProblem(exchange, problem))
  }

  #clientGone(): void {
    if (this.#isOver) return
    this.#call?.abort()
    this.#finish(this.#status === 0 ? CLIENT_CLOSED_REQUEST : this.#status, () => {})
  }

  #finish(status: number, done: () => void): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#options.watch.end(this.#watched)
    this.#options.beforeLastByte(
      this.#exchange,
      { status, egressBytes: this.#egressBytes, ingressBytes: this.#ingressBytes },
      done,
    )
  }
}

/** Trailers reach a client whose answer is chunked; others have no place for them, and they may be dropped (RFC 9110 6.5.1). */
function addTrailers(response: ServerResponse, trailers: readonly string[]): void {
  const kept: string[] = []
  appendFieldsForClient(kept, trailers)
  const pairs: [string, string][] = []
  for (let i = 0; i + 1 < kept.length; i += 2) pairs.push([kept[i] ?? '', kept[i + 1] ?? ''])
  response.addTrailers(pairs)
}

function contentLengthOf(headers: readonly string[]): number {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (lowerCase(headers[i] ?? '') === 'content-length') return Number(headers[i + 1])
  }
  return -1
}

function problemOf(fault: UpstreamFault): Problem {
  switch (fault.kind) {
    case 'timeout':
      return new Problem(504, 'upstream_timeout', { detail: 'The backend did not answer in time.', cause: fault })
    case 'connect':
      return new Problem(503, 'upstream_unavailable', {
        detail: 'The backend cannot be reached at the moment.',
        headers: { 'Retry-After': '1' },
        cause: fault,
      })
    case 'client':
      return new Problem(400, 'incomplete_body', { detail: 'The body is not as long as was announced.', cause: fault })
    case 'broken':
      return new Problem(502, 'bad_gateway', { detail: 'The backend broke off its answer.', cause: fault })
  }
}
