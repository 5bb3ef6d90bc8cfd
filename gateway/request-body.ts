import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { Problem } from '../runtime/problem.ts'
import type { StallWatch, Watched } from './stall-watch.ts'

export type RequestBodyOptions = {
  maxBytes: number
  /** Without a byte from the client for so long, while we would take some, the body is given up. */
  idleMs: number
  watch: StallWatch
  /** Called before the first byte is asked for: the time to answer `Expect: 100-continue`. */
  onWanted(): void
}

/**
 * A request's body on its way to an upstream: counted, bounded, watched, and read only as fast as the upstream takes it. It
 * stands between the two, so that an upstream which gives up early does not tear down the client's connection with it.
 */
export class RequestBody extends Readable {
  readonly #request: IncomingMessage
  readonly #options: RequestBodyOptions
  #isWanted = false
  #watched: Watched | undefined
  /** Bytes that came in. */
  size = 0
  readonly #onData = (chunk: Buffer) => this.#take(chunk)
  readonly #onEnd = () => {
    this.#options.watch.end(this.#watched)
    this.push(null)
  }
  readonly #onClose = () => {
    if (!this.#request.complete) this.destroy(new Error('The client is gone'))
  }

  constructor(request: IncomingMessage, options: RequestBodyOptions) {
    super({ highWaterMark: 64 * 1024 })
    this.#request = request
    this.#options = options
  }

  override _read(): void {
    if (!this.#isWanted) {
      this.#isWanted = true
      this.#options.onWanted()
      this.#request.on('data', this.#onData)
      this.#request.once('end', this.#onEnd)
      this.#request.once('close', this.#onClose)
      this.#request.once('error', () => {})
    }
    this.#watched = this.#options.watch.begin(this.#watched, this.#options.idleMs, () => {
      this.destroy(new Problem(408, 'request_timeout', { detail: 'The body stopped coming.' }))
    })
    this.#request.resume()
  }

  override _destroy(fault: Error | null, callback: (fault: Error | null) => void): void {
    this.#options.watch.end(this.#watched)
    this.#request.off('data', this.#onData)
    this.#request.off('end', this.#onEnd)
    this.#request.off('close', this.#onClose)
    callback(fault)
  }

  #take(chunk: Buffer): void {
    this.size += chunk.length
    this.#options.watch.progress(this.#watched)
    if (this.size > this.#options.maxBytes) {
      this.destroy(bodyTooLarge(this.#options.maxBytes))
    } else if (!this.push(chunk)) {
      // The upstream is slower than the client: no fault of the client's.
      this.#options.watch.end(this.#watched)
      this.#request.pause()
    }
  }
}

export function bodyTooLarge(maxBytes: number): Problem {
  return new Problem(413, 'body_too_large', { detail: `A body may have ${maxBytes} bytes.` })
}
