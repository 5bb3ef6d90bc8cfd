import type { Socket } from 'node:net'
import { FrameReader, FrameType, FrameWriter, LinkProtocolError, readHead } from './frames.ts'
import { type StreamEvents, StreamSide } from './stream-side.ts'
import { StreamTable } from './stream-table.ts'

/** The server's view of one request: its head, and the way to answer. */
export type LinkRequest = {
  readonly method: string
  readonly path: string
  /** name, value, name, value … */
  readonly headers: string[]
  /** Sends the response's head; once, before any of its body. */
  respond(status: number, headers: readonly string[]): void
  /** The response's body, and the acknowledgement of the request's. */
  readonly side: StreamSide
}

/** Takes a request and returns what it wants to be told of its body. */
export type LinkHandler = (request: LinkRequest) => StreamEvents

/** Streams that one connection may have open; a peer that opens more is refused with a reset. */
const MAX_STREAMS = 10_000

/** In place of a stream's id: none that has had no answer was taken, and none will be. Ids begin at 1. */
export const NO_STREAM = 0

/** A connection that is served. */
export type ServedLink = {
  /** Takes no new stream from now on, and resolves when those under way have ended; then the connection is closed. */
  drain(): Promise<void>
}

/**
 * Serves one connection of a link until it closes. A handler that throws loses its own stream only; a peer that breaks the
 * protocol loses the connection.
 * @param rest bytes that came with the request that opened the link.
 */
export function serveLink(socket: Socket, handler: LinkHandler, rest: Buffer = Buffer.alloc(0)): ServedLink {
  const streams = new StreamTable<StreamSide>()
  const drained = Promise.withResolvers<void>()
  let isDraining = false
  const writer = new FrameWriter((bytes) => {
    // A stream that comes after our goodbye is answered by that.
    if (!socket.destroyed && !socket.writableEnded) socket.write(bytes)
  })
  const endWhenDrained = () => {
    if (!isDraining || streams.size > 0) return
    // What is on its way here is read by nobody any more.
    writer.refuse(NO_STREAM)
    writer.flush()
    socket.end()
    drained.resolve()
  }
  const onClosed = (id: number) => {
    streams.delete(id)
    endWhenDrained()
  }

  const open = (id: number, payload: Buffer) => {
    if (streams.get(id) !== undefined) throw new LinkProtocolError('A stream was opened twice')
    if (isDraining || streams.size >= MAX_STREAMS) return writer.refuse(id)
    const [method = '', path = '', ...headers] = readHead(payload)
    let events: StreamEvents | undefined
    let hasHead = false
    const side = new StreamSide(
      id,
      writer,
      {
        onData: (bytes) => events?.onData(bytes),
        onEnd: () => events?.onEnd(),
        onReset: (fault) => events?.onReset(fault),
        onDrain: () => events?.onDrain(),
      },
      onClosed,
    )
    streams.add(id, side)
    const respond = (status: number, responseHeaders: readonly string[]) => {
      if (hasHead) throw new Error('The head of a response is sent once')
      hasHead = true
      if (streams.get(id) !== undefined) writer.head(id, [String(status), ...responseHeaders])
    }
    try {
      events = handler({ method, path, headers, respond, side })
    } catch {
      side.reset()
    }
  }

  const reader = new FrameReader((type, id, payload) => {
    if (type === FrameType.head) return open(id, payload)
    const side = streams.get(id)
    if (side === undefined) return
    if (type === FrameType.data) side.receiveData(payload)
    else if (type === FrameType.end) side.receiveEnd()
    else if (type === FrameType.reset) side.receiveReset(new Error('The client gave the request up'))
    else if (type === FrameType.window) side.receiveWindow(payload.readUInt32BE(0))
    else throw new LinkProtocolError(`Unknown frame type ${type}`)
  })
  socket.setNoDelay(true)
  const read = (bytes: Buffer) => {
    try {
      reader.push(bytes)
    } catch (fault) {
      socket.destroy(fault as Error)
    }
  }
  socket.on('data', read)
  socket.on('error', () => {})
  if (rest.length > 0) read(rest)
  socket.once('close', () => {
    const fault = new Error('The connection to the client was lost')
    for (const side of streams.all()) side.receiveReset(fault)
    drained.resolve()
  })
  return {
    drain() {
      isDraining = true
      endWhenDrained()
      return drained.promise
    },
  }
}
