import type { Duplex } from 'node:stream'
import { FrameBoundary } from './frame-boundary.ts'

/** A close frame with status 1001, going away (RFC 6455 7.4.1); from a server it is not masked. */
const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9])
/** How long clients get to answer the close frame, and an unfinished frame to end. */
const CLOSE_WAIT_MS = 1_000

type Tunnel = { client: Duplex; upstream: Duplex; boundary: FrameBoundary; isLeaving: boolean }

/** The open WebSockets of this worker: bytes pass through as they are, with backpressure both ways. */
export class WebSocketTunnels {
  readonly #open = new Set<Tunnel>()

  get size(): number {
    return this.#open.size
  }

  /** Lets bytes flow until either side ends; then the other ends too. */
  join(client: Duplex, upstream: Duplex): void {
    const tunnel: Tunnel = { client, upstream, boundary: new FrameBoundary(), isLeaving: false }
    this.#open.add(tunnel)
    const end = (): void => {
      this.#open.delete(tunnel)
      client.destroy()
      upstream.destroy()
    }
    client.on('error', end)
    upstream.on('error', end)
    client.once('close', end)
    // What the upstream has sent last still reaches the client.
    upstream.once('close', () => {
      this.#open.delete(tunnel)
      client.end()
      setTimeout(end, CLOSE_WAIT_MS).unref()
    })
    forward(client, upstream, (chunk) => upstream.write(chunk))
    forward(upstream, client, (chunk) => {
      tunnel.boundary.follow(chunk)
      return tunnel.isLeaving || client.write(chunk)
    })
  }

  /** Tells every client, between two frames, that this server goes away; ends those that do not end themselves. */
  async close(): Promise<void> {
    const open = [...this.#open]
    if (open.length === 0) return
    for (const tunnel of open) sayGoodbye(tunnel)
    const deadline = performance.now() + CLOSE_WAIT_MS
    while (this.#open.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
    for (const { client, upstream } of open) {
      client.destroy()
      upstream.destroy()
    }
  }
}

/**
 * Bytes of one side to the other, with backpressure. By hand: most sockets are idle ones, and what `pipe` keeps for each
 * costs more than all else that this worker knows of it.
 */
function forward(from: Duplex, to: Duplex, write: (chunk: Buffer) => boolean): void {
  from.on('data', (chunk: Buffer) => {
    if (to.writable && !write(chunk)) from.pause()
  })
  to.on('drain', () => from.resume())
  from.once('end', () => to.end())
}

function sayGoodbye(tunnel: Tunnel): void {
  const { client, upstream, boundary } = tunnel
  const look = (): void => {
    if (tunnel.isLeaving || !boundary.isBetweenFrames) return
    tunnel.isLeaving = true
    upstream.off('data', look)
    client.end(GOING_AWAY)
  }
  upstream.on('data', look)
  look()
}
