import type { Socket } from 'node:net'
import { FrameReader, FrameType, FrameWriter, LinkProtocolError, readHead } from './frames.ts'
import { type StreamEvents, StreamSide } from './stream-side.ts'

/** What the caller of a request is told. */
export type ResponseEvents = StreamEvents & {
  /** @param headers name, value, name, value …, as the server sent them. */
  onHead(status: number, headers: string[]): void
}

/** The connection ended while requests were under way, or could not be made. */
export class LinkLostError extends Error {
  /** True when no byte of the request can have reached the server: it may be sent again, whatever it was. */
  readonly neverSent: boolean

  constructor(neverSent: boolean, cause?: unknown) {
    super('The link was lost', { cause })
    this.name = 'LinkLostError'
    this.neverSent = neverSent
  }
}

type Pending = { side: StreamSide; events: ResponseEvents; hasHead: boolean }

/** Opens a connection; calls `onOpen` once frames may be sent, with bytes that came already. */
export type LinkDial = (onOpen: (socket: Socket, rest: Buffer) => void) => Socket

/**
 * The client's end of a link: as many requests as wanted in flight on one connection. It dials on the first request and
 * again on the first after the connection was lost; requests that wait for the dial are sent in their order.
 */
export class LinkClient {
  readonly #dial: LinkDial
  readonly #pending = new Map<number, Pending>()
  #socket: Socket | undefined
  #writer: FrameWriter | undefined
  #isOpen = false
  #nextStream = 1
  #isClosed = false

  /** @param dial opens a connection to the server; called whenever there is none. */
  constructor(dial: LinkDial) {
    this.#dial = dial
  }

  /** Requests without an answer yet. */
  get inFlight(): number {
    return this.#pending.size
  }

  /**
   * Sends a request head; the body follows by the returned side's `write` and `end` (call `end` at once when there is none).
   * @param head method, path, then name, value, name, value …
   */
  request(head: readonly string[], events: ResponseEvents): StreamSide {
    const writer = this.#connected()
    const id = this.#nextStream
    this.#nextStream = id === 0xffff_ffff ? 1 : id + 1
    const side = new StreamSide(id, writer, events, (closed) => this.#pending.delete(closed))
    this.#pending.set(id, { side, events, hasHead: false })
    writer.head(id, head)
    return side
  }

  /** Ends the connection; requests under way are lost. */
  close(): void {
    this.#isClosed = true
    this.#socket?.destroy()
  }

  #connected(): FrameWriter {
    if (this.#writer !== undefined) return this.#writer
    if (this.#isClosed) throw new LinkLostError(true)
    // Until the server has agreed, frames wait here: none of them can have reached it.
    const early: Buffer[] = []
    const writer = new FrameWriter((bytes) => {
      if (this.#isOpen && this.#socket === socket) socket.write(bytes)
      else early.push(bytes)
    })
    const socket = this.#dial((opened, rest) => {
      if (this.#socket !== opened) return
      this.#isOpen = true
      const reader = new FrameReader((type, stream, payload) => this.#receive(type, stream, payload))
      const read = (bytes: Buffer) => {
        try {
          reader.push(bytes)
        } catch (fault) {
          opened.destroy(fault as Error)
        }
      }
      for (const bytes of early.splice(0)) opened.write(bytes)
      opened.on('data', read)
      if (rest.length > 0) read(rest)
    })
    let fault: Error | undefined
    socket.on('error', (error) => {
      fault ??= error
    })
    socket.once('close', () => this.#lost(socket, fault))
    this.#socket = socket
    this.#writer = writer
    return writer
  }

  #receive(type: number, stream: number, payload: Buffer): void {
    // A stream that was reset here may still have frames under way: they are for nobody.
    const pending = this.#pending.get(stream)
    if (pending === undefined) return
    switch (type) {
      case FrameType.head: {
        if (pending.hasHead) throw new LinkProtocolError('Two heads on one stream')
        pending.hasHead = true
        const [status, ...headers] = readHead(payload)
        pending.events.onHead(Number(status), headers)
        return
      }
      case FrameType.data:
        pending.side.receiveData(payload)
        return
      case FrameType.end:
        pending.side.receiveEnd()
        return
      case FrameType.reset:
        pending.side.receiveReset(new LinkLostError(false))
        return
      case FrameType.window:
        pending.side.receiveWindow(payload.readUInt32BE(0))
        return
      default:
        throw new LinkProtocolError(`Unknown frame type ${type}`)
    }
  }

  #lost(socket: Socket, cause: Error | undefined): void {
    if (this.#socket !== socket) return
    const neverSent = !this.#isOpen
    this.#socket = undefined
    this.#writer = undefined
    this.#isOpen = false
    const lost = [...this.#pending.values()]
    this.#pending.clear()
    for (const { side } of lost) side.receiveReset(new LinkLostError(neverSent, cause))
  }
}
