import type { PipelinedConnection, Slot } from './pipelined-connection.ts'
import type { Upstream, UpstreamCall, UpstreamHandler, UpstreamRequest } from './upstream.ts'

/** A request in a pipelined connection's line, which can be moved to a connection of its own. */
export class PipelinedCall implements UpstreamCall {
  readonly request: UpstreamRequest
  readonly handler: UpstreamHandler
  #connection: PipelinedConnection | undefined
  #slot: Slot | undefined
  /** Where it is under way since it was moved. */
  #moved: UpstreamCall | undefined
  #isOver = false

  constructor(request: UpstreamRequest, handler: UpstreamHandler) {
    this.request = request
    this.handler = handler
  }

  sendOn(connection: PipelinedConnection, head: string, nowMs: number): void {
    this.#connection = connection
    this.#slot = connection.send(this, head, this.request.method === 'HEAD', nowMs)
  }

  /** Asks again over `upstream`; the answer in the line, if it still comes, is thrown away. */
  moveTo(upstream: Upstream): void {
    if (this.#isOver) return
    this.#slot = undefined
    this.#connection = undefined
    this.#moved = upstream.send(this.request, this.handler)
  }

  /** Its answer is whole, or will never be. */
  finish(): void {
    this.#isOver = true
    this.#slot = undefined
    this.#connection = undefined
  }

  abort(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#moved?.abort()
    if (this.#slot === undefined) return
    this.#slot.call = undefined
    // An answer under way would have to be read to its end, and it may have none.
    if (this.#slot.hasBegun) this.#connection?.abandon()
  }

  pause(): void {
    if (this.#moved !== undefined) this.#moved.pause()
    else if (!this.#isOver) this.#connection?.pause()
  }

  resume(): void {
    if (this.#moved !== undefined) this.#moved.resume()
    else if (!this.#isOver) this.#connection?.resume()
  }
}
