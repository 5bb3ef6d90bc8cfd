import type { Readable } from 'node:stream'
import { LinkClient } from '../runtime/link/link-client.ts'
import { LinkLostError, type ResponseEvents } from '../runtime/link/link-connection.ts'
import type { StreamSide } from '../runtime/link/stream-side.ts'
import { dialLink } from '../runtime/link/upgrade.ts'
import { Roster, type Rostered } from './roster.ts'
import {
  type Upstream,
  type UpstreamCall,
  UpstreamFault,
  type UpstreamHandler,
  type UpstreamRequest,
} from './upstream.ts'

export type LinkUpstreamOptions = {
  /** Shows the backend that we are a service of ours; asked for each new connection. */
  token: () => string
  connections?: number
  /** Until the head of the answer. */
  headTimeoutMs?: number
}

/** How often the calls that wait for the head of their answer are looked at. */
const LOOK_EVERY_MS = 1_000

/**
 * One of our own backends over a few multiplexed connections: no HTTP is written or parsed, requests of one event-loop turn
 * leave in one write, and a slow query holds up nobody else's answer.
 */
export class LinkUpstream implements Upstream {
  readonly origin: string
  readonly #clients: readonly LinkClient[]
  /** Calls that wait for the head of their answer. A timer of its own would cost each a good part of its way. */
  readonly #waiting = new Roster<LinkCall>()
  readonly #looking: NodeJS.Timeout
  #next = 0

  constructor(origin: string, options: LinkUpstreamOptions) {
    this.origin = origin
    const headTimeoutMs = options.headTimeoutMs ?? 60_000
    this.#looking = setInterval(
      () => {
        const nowMs = performance.now()
        for (const call of this.#waiting.all()) call.timeOutAt(nowMs, headTimeoutMs)
      },
      Math.min(LOOK_EVERY_MS, headTimeoutMs / 4),
    )
    this.#looking.unref()
    this.#clients = Array.from(
      { length: options.connections ?? 2 },
      () => new LinkClient((onOpen) => dialLink(origin, options.token, onOpen)),
    )
  }

  /** True while a request would leave at once. */
  get isOpen(): boolean {
    return this.#clients.every((client) => client.isOpen)
  }

  /** Dials what is not connected. */
  open(): void {
    for (const client of this.#clients) client.open()
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const client = this.#clients[this.#next++ % this.#clients.length]
    if (client === undefined) throw new Error('A link has at least one connection')
    const call = new LinkCall(client, request, handler, this.#waiting)
    call.begin()
    return call
  }

  async close(): Promise<void> {
    while (this.#clients.some((client) => client.inFlight > 0)) await new Promise((resolve) => setTimeout(resolve, 20))
    for (const client of this.#clients) client.close()
    clearInterval(this.#looking)
  }
}

/** One request on its stream: both directions with backpressure, and what came while the client was slow. */
class LinkCall implements UpstreamCall, ResponseEvents, Rostered {
  place = -1
  readonly #client: LinkClient
  readonly #request: UpstreamRequest
  readonly #handler: UpstreamHandler
  readonly #waiting: Roster<LinkCall>
  #sentMs = 0
  #side: StreamSide | undefined
  #body: Readable | undefined
  #isOver = false
  #isPaused = false
  /** What arrived while paused; its bytes are granted anew only when it has gone on its way. */
  #held: Buffer[] = []
  #endIsHeld = false
  #wasRetried = false

  constructor(client: LinkClient, request: UpstreamRequest, handler: UpstreamHandler, waiting: Roster<LinkCall>) {
    this.#client = client
    this.#request = request
    this.#handler = handler
    this.#waiting = waiting
  }

  begin(): void {
    const { method, target, headers, body } = this.#request
    const side = this.#client.request([method, target, ...headers], this)
    this.#side = side
    this.#sentMs = performance.now()
    this.#waiting.enter(this)
    if (body === null) {
      side.end()
      return
    }
    this.#body = body
    body.on('data', (chunk: Buffer) => {
      if (this.#isOver) return
      if (!side.write(chunk)) body.pause()
      this.#handler.onBodySent?.(chunk.length)
    })
    body.on('end', () => {
      if (!this.#isOver) side.end()
    })
    body.on('error', (fault) => this.#fail(new UpstreamFault('client', fault), true))
  }

  abort(): void {
    if (this.#isOver) return
    this.#finish()
    this.#side?.reset()
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    while (!this.#isPaused && !this.#isOver) {
      const chunk = this.#held.shift()
      if (chunk === undefined) break
      this.#deliver(chunk)
    }
    if (this.#endIsHeld && this.#held.length === 0 && !this.#isPaused) this.onEnd()
  }

  onHead(status: number, headers: string[]): void {
    this.#waiting.leave(this)
    if (this.#isOver) return
    if (status < 200) this.#handler.onInformation?.(status, headers)
    else this.#handler.onHead(status, headers)
  }

  onData(bytes: Buffer): void {
    if (this.#isOver) return
    if (this.#isPaused || this.#held.length > 0) this.#held.push(bytes)
    else this.#deliver(bytes)
  }

  onEnd(): void {
    if (this.#isOver) return
    if (this.#held.length > 0 || this.#isPaused) {
      this.#endIsHeld = true
      return
    }
    this.#finish()
    this.#handler.onEnd([])
  }

  onReset(fault: Error): void {
    const wasTaken = !(fault instanceof LinkLostError && fault.neverSent)
    // The backend took nothing of it (it is being replaced, say), and there is no body that could be half gone.
    if (!wasTaken && !this.#wasRetried && !this.#isOver && this.#request.body === null) {
      this.#wasRetried = true
      this.#waiting.leave(this)
      this.begin()
      return
    }
    const kind = wasTaken ? 'broken' : 'connect'
    this.#fail(new UpstreamFault(kind, fault), false)
  }

  onDrain(): void {
    this.#body?.resume()
  }

  #deliver(bytes: Buffer): void {
    this.#handler.onData(bytes)
    this.#side?.consumed(bytes.length)
  }

  /** Gives up when there was no head for too long. */
  timeOutAt(nowMs: number, headTimeoutMs: number): void {
    if (nowMs - this.#sentMs < headTimeoutMs) return
    this.#fail(new UpstreamFault('timeout', new Error(`No answer within ${headTimeoutMs} ms`)), true)
  }

  #fail(fault: UpstreamFault, tellServer: boolean): void {
    if (this.#isOver) return
    this.#finish()
    if (tellServer) this.#side?.reset()
    this.#handler.onError(fault)
  }

  #finish(): void {
    this.#isOver = true
    this.#held = []
    this.#waiting.leave(this)
  }
}
