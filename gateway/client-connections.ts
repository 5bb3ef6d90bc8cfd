import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** While draining, a connection without a request for so long is closed. */
const IDLE_BEFORE_CLOSE_MS = 2_000
const LOOK_EVERY_MS = 50

type Connection = { underWay: number; lastUseMs: number; isTls: boolean }

/**
 * The connections of clients that this worker holds, and how they end when it drains. Each is told with its next answer to
 * close (`Connection: close`); only one that has been idle for a while is closed without, because a client may be sending
 * its next request at that very moment, and would lose it.
 */
export class ClientConnections {
  readonly #open = new Map<Socket, Connection>()
  #isDraining = false
  /** Requests under way over TLS: which connection each is on cannot be told from the request. */
  #tlsUnderWay = 0

  get size(): number {
    return this.#open.size
  }

  add(socket: Socket, isTls: boolean): void {
    this.#open.set(socket, { underWay: 0, lastUseMs: performance.now(), isTls })
    socket.once('close', () => this.#open.delete(socket))
  }

  /** Counts the requests of `server`, whose connections are added here. */
  follow(server: EventEmitter): void {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const connection = this.#open.get(request.socket)
      if (connection === undefined) {
        this.#tlsUnderWay++
        // HTTP/1.1's; HTTP/2 has no such field.
        if (this.#isDraining && request.httpVersionMajor === 1) response.shouldKeepAlive = false
        response.once('close', () => this.#tlsUnderWay--)
        return
      }
      connection.underWay++
      if (this.#isDraining) response.shouldKeepAlive = false
      response.once('close', () => {
        connection.underWay--
        connection.lastUseMs = performance.now()
      })
    })
  }

  /** Resolves when every connection has ended. */
  async drain(): Promise<void> {
    this.#isDraining = true
    const startedMs = performance.now()
    while (this.#open.size > 0) {
      const now = performance.now()
      for (const [socket, { underWay, lastUseMs, isTls }] of this.#open) {
        if (underWay > 0 || (isTls && this.#tlsUnderWay > 0)) continue
        if (now - Math.max(lastUseMs, startedMs) > IDLE_BEFORE_CLOSE_MS) socket.end()
        if (now - Math.max(lastUseMs, startedMs) > 2 * IDLE_BEFORE_CLOSE_MS) socket.destroy()
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    }
  }
}
