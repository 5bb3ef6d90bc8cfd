import { connect, type Socket } from 'node:net'
import { Http1ResponseParser, type ResponseListener } from './http1-response-parser.ts'
import type { PipelinedCall } from './pipelined-call.ts'
import { UpstreamFault } from './upstream.ts'

/** The place of one request in the line of a connection; without a call its answer is read and thrown away. */
export type Slot = {
  readonly isHead: boolean
  readonly sentMs: number
  hasBegun: boolean
  call: PipelinedCall | undefined
}

export type ConnectionOptions = {
  host: string
  port: number
  connectTimeoutMs: number
  idleMs: number
  /** Calls that will get no answer here. */
  onOrphans(calls: readonly PipelinedCall[]): void
  onClose(connection: PipelinedConnection): void
}

/**
 * One connection with many requests in flight, answered in the order they were sent. All heads of one event-loop turn leave
 * in one write. It carries safe, bodiless requests only.
 */
export class PipelinedConnection implements ResponseListener {
  readonly #options: ConnectionOptions
  readonly #socket: Socket
  readonly #parser = new Http1ResponseParser(this)
  /** Sent and not wholly answered, oldest first: a queue with its front at `#front`. */
  #line: Slot[] = []
  #front = 0
  #out = ''
  #isFlushScheduled = false
  #isConnected = false
  #isClosed = false
  /** No more requests: the upstream has announced the end, or we have. */
  isClosing = false
  readonly #flush = () => this.#writeOut()

  constructor(options: ConnectionOptions) {
    this.#options = options
    const socket = connect({ host: options.host, port: options.port, noDelay: true })
    this.#socket = socket
    socket.setTimeout(options.connectTimeoutMs)
    socket.on('connect', () => {
      this.#isConnected = true
      socket.setTimeout(options.idleMs)
    })
    socket.on('timeout', () => {
      if (!this.#isConnected) socket.destroy(new Error('connect timeout'))
      else if (this.inFlight === 0) this.#end()
    })
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', (fault) => this.#close(fault))
    socket.on('end', () => this.#close(undefined))
    socket.on('close', () => this.#close(undefined))
  }

  get inFlight(): number {
    return this.#line.length - this.#front
  }

  /** The place whose answer is due next. */
  get oldest(): Slot | undefined {
    return this.#line[this.#front]
  }

  /** False when every answer that is still to come would be thrown away. */
  get isWanted(): boolean {
    for (let i = this.#front; i < this.#line.length; i++) if (this.#line[i]?.call !== undefined) return true
    return this.inFlight === 0
  }

  /** Puts a call into the line. */
  send(call: PipelinedCall, head: string, isHead: boolean, nowMs: number): Slot {
    const slot: Slot = { isHead, sentMs: nowMs, hasBegun: false, call }
    this.#line.push(slot)
    this.#out += head
    if (!this.#isFlushScheduled) {
      this.#isFlushScheduled = true
      // The check phase comes after every socket's callbacks of this turn: their requests make one write.
      setImmediate(this.#flush)
    }
    return slot
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Ends the connection because the client of its oldest answer has gone; those behind it are asked elsewhere. */
  abandon(): void {
    const rest = this.#takeAll()
    this.destroy()
    this.#options.onOrphans(rest)
  }

  /** Ends the connection at once; whoever is still in the line learns it. */
  destroy(): void {
    this.#socket.destroy()
    this.#close(undefined)
  }

  /** Ends the connection when its line is empty. */
  close(): void {
    this.isClosing = true
    if (this.inFlight === 0) this.#end()
  }

  isForHead(): boolean {
    if (this.oldest === undefined) throw new Error('An answer that nobody asked for')
    return this.oldest.isHead
  }

  onInformation(status: number, headers: string[]): void {
    this.oldest?.call?.handler.onInformation?.(status, headers)
  }

  onHead(status: number, headers: string[]): void {
    const slot = this.oldest
    if (slot === undefined) return
    slot.hasBegun = true
    slot.call?.handler.onHead(status, headers)
  }

  onData(chunk: Buffer): void {
    this.oldest?.call?.handler.onData(chunk)
  }

  onComplete(trailers: string[], keepsAlive: boolean): void {
    const call = this.#shift()?.call
    if (this.#socket.isPaused()) this.#socket.resume()
    if (!keepsAlive) {
      // The upstream processes nothing after the answer with which it closes (RFC 9112 9.6): the rest is asked elsewhere.
      const rest = this.#takeAll()
      this.#end()
      this.#options.onOrphans(rest)
    } else if (this.isClosing && this.inFlight === 0) this.#end()
    call?.finish()
    call?.handler.onEnd(trailers)
  }

  #shift(): Slot | undefined {
    const slot = this.#line[this.#front++]
    if (this.#front === this.#line.length) {
      this.#line.length = 0
      this.#front = 0
    } else if (this.#front > 64) {
      this.#line = this.#line.slice(this.#front)
      this.#front = 0
    }
    return slot
  }

  #takeAll(): PipelinedCall[] {
    const calls: PipelinedCall[] = []
    for (let i = this.#front; i < this.#line.length; i++) {
      const call = this.#line[i]?.call
      if (call !== undefined) calls.push(call)
    }
    this.#line = []
    this.#front = 0
    return calls
  }

  #writeOut(): void {
    this.#isFlushScheduled = false
    const out = this.#out
    this.#out = ''
    if (out !== '' && !this.#isClosed) this.#socket.write(out, 'latin1')
  }

  #read(chunk: Buffer): void {
    if (this.#isClosed) return
    try {
      this.#parser.feed(chunk)
    } catch (fault) {
      this.#socket.destroy()
      this.#close(fault)
    }
  }

  #end(): void {
    this.isClosing = true
    this.#isClosed = true
    this.#socket.destroySoon()
    this.#options.onClose(this)
  }

  #close(fault: unknown): void {
    if (this.#isClosed) return
    // An answer that ends with its connection is whole now.
    if (this.#parser.end() && this.#isClosed) return
    this.#isClosed = true
    this.isClosing = true
    const calls = this.#takeAll()
    this.#socket.destroy()
    this.#options.onClose(this)
    const kind = this.#isConnected ? 'broken' : 'connect'
    for (const call of calls) {
      call.finish()
      call.handler.onError(new UpstreamFault(kind, fault ?? new Error('The upstream closed')))
    }
  }
}
