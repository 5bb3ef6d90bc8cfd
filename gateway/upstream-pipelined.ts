import { PipelinedCall } from './pipelined-call.ts'
import { PipelinedConnection } from './pipelined-connection.ts'
import {
  type Upstream,
  type UpstreamCall,
  UpstreamFault,
  type UpstreamHandler,
  type UpstreamRequest,
} from './upstream.ts'

export type PipelinedUpstreamOptions = {
  /** Requests in flight on one connection at most. */
  pipelining: number
  maxConnections?: number
  connectTimeoutMs?: number
  headTimeoutMs?: number
  /** An idle connection is closed before the upstream closes it (Node's servers do after 5 s). */
  idleMs?: number
  /** Takes what is not pipelined. */
  single: Upstream
}

/** An answer that is not whole after this is slow: nothing more is put behind it. */
const SLOW_MS = 40
const SWEEP_MS = 20

/**
 * An HTTP/1.1 server that takes many requests on one connection. Few connections carry the safe, bodiless requests (RFC 9112
 * 9.3.2), all of one event-loop turn in one write each; everything else goes over `single`. Answers come in order, so a slow
 * one holds up those behind it: the shortest line is chosen, and a connection whose oldest answer is slow gets no more
 * requests. Nothing is asked twice, but for what the upstream has announced not to answer (`Connection: close`), and safe
 * requests behind an endless answer whose client has gone: their connection has to end for the upstream to learn of it.
 */
export class PipelinedUpstream implements Upstream {
  readonly origin: string
  readonly #options: PipelinedUpstreamOptions
  readonly #host: string
  readonly #port: number
  readonly #hostField: string
  readonly #maxConnections: number
  readonly #headTimeoutMs: number
  readonly #connections: PipelinedConnection[] = []
  #sweeper: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(origin: string, options: PipelinedUpstreamOptions) {
    this.origin = origin
    this.#options = options
    const { hostname, port, host } = new URL(origin)
    this.#host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
    this.#port = Number(port === '' ? 80 : port)
    this.#hostField = host
    this.#maxConnections = options.maxConnections ?? 4
    this.#headTimeoutMs = options.headTimeoutMs ?? 60_000
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const isSafe = request.body === null && (request.method === 'GET' || request.method === 'HEAD')
    const nowMs = performance.now()
    const connection = isSafe ? this.#choose(nowMs) : undefined
    if (connection === undefined) return this.#options.single.send(request, handler)
    const call = new PipelinedCall(request, handler)
    call.sendOn(connection, this.#headOf(request), nowMs)
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref()
    return call
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const connection of [...this.#connections]) connection.close()
    await this.#options.single.close()
  }

  /** The connection with the shortest line that is not slow; a new one while there may be more; none when all are full. */
  #choose(nowMs: number): PipelinedConnection | undefined {
    if (this.#isClosed) return undefined
    let best: PipelinedConnection | undefined
    let bestInFlight = this.#options.pipelining
    for (const connection of this.#connections) {
      const { inFlight, oldest } = connection
      if (inFlight >= bestInFlight || connection.isClosing) continue
      if (oldest !== undefined && nowMs - oldest.sentMs > SLOW_MS) continue
      best = connection
      bestInFlight = inFlight
      if (inFlight === 0) return best
    }
    if (bestInFlight > 0 && this.#connections.length < this.#maxConnections) return this.#connect()
    return best
  }

  #connect(): PipelinedConnection {
    const connection = new PipelinedConnection({
      host: this.#host,
      port: this.#port,
      connectTimeoutMs: this.#options.connectTimeoutMs ?? 3_000,
      idleMs: this.#options.idleMs ?? 4_000,
      onOrphans: (calls) => {
        for (const call of calls) call.moveTo(this.#options.single)
      },
      onClose: (closed) => {
        const index = this.#connections.indexOf(closed)
        if (index >= 0) this.#connections.splice(index, 1)
      },
    })
    this.#connections.push(connection)
    return connection
  }

  #headOf({ method, target, headers }: UpstreamRequest): string {
    let head = `${method} ${target} HTTP/1.1\r\nhost: ${this.#hostField}\r\n`
    for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`
    return `${head}\r\n`
  }

  /** Ends connections for whose answers nobody waits any more, and those whose answer is over time. */
  #sweep(): void {
    const nowMs = performance.now()
    for (const connection of [...this.#connections]) {
      const { oldest } = connection
      if (oldest === undefined || nowMs - oldest.sentMs < SLOW_MS) continue
      const isOverTime = !oldest.hasBegun && nowMs - oldest.sentMs > this.#headTimeoutMs
      if (isOverTime && oldest.call !== undefined) {
        const { call } = oldest
        oldest.call = undefined
        call.finish()
        call.handler.onError(new UpstreamFault('timeout', new Error('No answer in time')))
        connection.destroy()
      }
      if (!connection.isWanted) connection.destroy()
    }
    if (this.#connections.length > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }
}
