import type { Socket } from 'node:net'
import { FrameReader, FrameType, FrameWriter, LinkProtocolError, readHead } from './frames.ts'
import { NO_STREAM } from './link-server.ts'
import { type StreamEvents, StreamSide } from './stream-side.ts'
import { StreamTable } from './stream-table.ts'

/** What the caller of a request is told. */
export type ResponseEvents = StreamEvents & {
  /** @param headers name, value, name, value …, as the server sent them. */
  onHead(status: number, headers: string[]): void
}

/** The connection ended while requests were under way, could not be made, or the server was about to end. */
export class LinkLostError extends Error {
  /** True when the server has taken nothing of the request: it may be sent again, whatever it was. */
  readonly neverSent: boolean

  constructor(neverSent: boolean, cause?: unknown) {
    super('The link was lost', { cause })
    this.name = 'LinkLostError'
    this.neverSent = neverSent
  }
}

/** Opens a connection; calls `onOpen` once frames may be sent, with bytes that came already. */
export type LinkDial = (onOpen: (socket: Socket, rest: Buffer) => void) => Socket

type Pending = { side: StreamSide; events: ResponseEvents; hasHead: boolean }

/** One connection of a client: its streams, from the dial to the end. Requests that wait for the dial are sent in their order. */
export class LinkConnection {
  readonly #socket: Socket
  readonly #writer: FrameWriter
  readonly #onUseless: () => void
  readonly #pending = new StreamTable<Pending>()
  /** Frames that wait until the server has agreed to the link: none of them can have reached it. */
  #early: Buffer[] | undefined = []
  #nextStream = 1
  /** The server has said that it ends in good order: it has answered all that it took. */
  #isDismissed = false

  /** @param onUseless called when no further request should be sent here; those under way go on. */
  constructor(dial: LinkDial, onUseless: () => void) {
    this.#onUseless = onUseless
    this.#writer = new FrameWriter((bytes) => {
      if (this.#early === undefined) this.#socket.write(bytes)
      else this.#early.push(bytes)
    })
    this.#socket = dial((socket, rest) => this.#opened(socket, rest))
    let fault: Error | undefined
    this.#socket.on('error', (error) => {
      fault ??= error
    })
    this.#socket.once('close', () => this.#lost(fault))
  }

  /** True from the server's agreement to the end. */
  get isOpen(): boolean {
    return this.#early === undefined && !this.#socket.destroyed
  }

  get inFlight(): number {
    return this.#pending.size
  }

  request(head: readonly string[], events: ResponseEvents): StreamSide {
    const id = this.#nextStream++
    if (id >= 0xffff_fff0) this.#onUseless()
    const side = new StreamSide(id, this.#writer, events, (closed) => this.#closed(closed))
    this.#pending.add(id, { side, events, hasHead: false })
    this.#writer.head(id, head)
    return side
  }

  /** Ends the connection; requests under way are lost. */
  destroy(): void {
    this.#socket.destroy()
  }

  #opened(socket: Socket, rest: Buffer): void {
    const reader = new FrameReader((type, stream, payload) => this.#receive(type, stream, payload))
    const read = (bytes: Buffer) => {
      try {
        reader.push(bytes)
      } catch (fault) {
        socket.destroy(fault as Error)
      }
    }
    for (const bytes of this.#early ?? []) socket.write(bytes)
    this.#early = undefined
    socket.on('data', read)
    if (rest.length > 0) read(rest)
  }

  #receive(type: number, stream: number, payload: Buffer): void {
    if (type === FrameType.refuse && stream === NO_STREAM) {
      this.#isDismissed = true
      this.#onUseless()
      return
    }
    // A stream that was reset here may still have frames under way: they are for nobody.
    const pending = this.#pending.get(stream)
    if (pending === undefined) return
    const { side, events } = pending
    if (type === FrameType.head) {
      if (pending.hasHead) throw new LinkProtocolError('Two heads on one stream')
      pending.hasHead = true
      const [status, ...headers] = readHead(payload)
      events.onHead(Number(status), headers)
    } else if (type === FrameType.data) side.receiveData(payload)
    else if (type === FrameType.end) side.receiveEnd()
    else if (type === FrameType.window) side.receiveWindow(payload.readUInt32BE(0))
    else if (type === FrameType.reset) side.receiveReset(new LinkLostError(false))
    else if (type === FrameType.refuse) {
      this.#onUseless()
      side.receiveReset(new LinkLostError(true))
    } else throw new LinkProtocolError(`Unknown frame type ${type}`)
  }

  #closed(stream: number): void {
    this.#pending.delete(stream)
  }

  #lost(cause: Error | undefined): void {
    this.#onUseless()
    const wasOpen = this.#early === undefined
    const lost = this.#pending.all()
    this.#pending.clear()
    for (const { side, hasHead } of lost)
      side.receiveReset(new LinkLostError(!wasOpen || (this.#isDismissed && !hasHead), cause))
  }
}
