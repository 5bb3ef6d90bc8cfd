/**
 * The frames of a link: a connection between two of our own processes that carries many requests and their answers at
 * once, each on a stream of its own (as HTTP/2 does, RFC 9113), with neither header compression nor text to parse.
 *
 * A frame is nine bytes of header — payload length (u32), type (u8), stream (u32), big-endian — and its payload:
 *
 * | type   | payload                                                                                        |
 * |--------|------------------------------------------------------------------------------------------------|
 * | head   | latin-1 text, members separated by NUL: method, path (request) or status (response); then name, value … |
 * | data   | bytes of the body, which count against the receiver's window                                   |
 * | end    | nothing: the sender's side of the stream is over                                               |
 * | reset  | nothing: the sender wants no more of this stream, and sends no more of it                      |
 * | window | u32: so many more bytes of data may be sent on this stream                                     |
 * | refuse | nothing: the server is about to end and took nothing of this stream; it may be sent elsewhere. On stream
 *            0 it is the last frame: that holds for every stream that has had no answer |
 */
export const FRAME_HEADER_BYTES = 9
export const FrameType = { head: 1, data: 2, end: 3, reset: 4, window: 5, refuse: 6 } as const
export type FrameType = (typeof FrameType)[keyof typeof FrameType]

/** Bytes that may be under way on a stream before its receiver has taken them. */
export const INITIAL_WINDOW_BYTES = 256 * 1024
/** A longer frame is a broken peer: heads are bounded by the HTTP servers in front, data is cut into pieces. */
export const MAX_FRAME_BYTES = 1024 * 1024
export const MAX_DATA_BYTES = 64 * 1024

/** The other side broke the protocol: the connection is of no use any more. */
export class LinkProtocolError extends Error {
  constructor(what: string) {
    super(what)
    this.name = 'LinkProtocolError'
  }
}

/** Gathers the frames of one event-loop turn and hands them to the socket in one write: the saving is system calls. */
export class FrameWriter {
  readonly #write: (bytes: Buffer) => void
  #buffer = Buffer.allocUnsafeSlow(64 * 1024)
  #length = 0
  #scheduled = false

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write
  }

  /** @param members free of NUL and of characters beyond latin-1, as HTTP header fields are. */
  head(stream: number, members: readonly string[]): void {
    const text = members.join('\0')
    const start = this.#begin(FrameType.head, stream, text.length)
    this.#buffer.write(text, start, 'latin1')
  }

  data(stream: number, bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; from += MAX_DATA_BYTES) {
      const piece = bytes.subarray(from, from + MAX_DATA_BYTES)
      const start = this.#begin(FrameType.data, stream, piece.length)
      this.#buffer.set(piece, start)
    }
  }

  end(stream: number): void {
    this.#begin(FrameType.end, stream, 0)
  }

  reset(stream: number): void {
    this.#begin(FrameType.reset, stream, 0)
  }

  refuse(stream: number): void {
    this.#begin(FrameType.refuse, stream, 0)
  }

  window(stream: number, bytes: number): void {
    const start = this.#begin(FrameType.window, stream, 4)
    this.#buffer.writeUInt32BE(bytes, start)
  }

  /** Writes what was gathered now. */
  flush(): void {
    this.#scheduled = false
    if (this.#length === 0) return
    // The socket keeps the bytes until the kernel took them: it gets a copy of its own, the buffer is filled again.
    this.#write(Buffer.from(this.#buffer.subarray(0, this.#length)))
    this.#length = 0
  }

  /** Writes a frame's header; returns where its payload goes in the buffer, which may be another one than before. */
  #begin(type: FrameType, stream: number, payloadLength: number): number {
    const needed = FRAME_HEADER_BYTES + payloadLength
    if (this.#length + needed > this.#buffer.length) {
      this.flush()
      if (needed > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(needed)
    }
    const at = this.#length
    this.#buffer.writeUInt32BE(payloadLength, at)
    this.#buffer[at + 4] = type
    this.#buffer.writeUInt32BE(stream, at + 5)
    this.#length = at + needed
    if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(() => this.flush())
    }
    return at + FRAME_HEADER_BYTES
  }
}

/** Cuts the bytes of a connection into frames, however they were split under way. */
export class FrameReader {
  readonly #onFrame: (type: number, stream: number, payload: Buffer) => void
  #rest: Buffer = Buffer.alloc(0)

  /** @param onFrame gets a view of the payload that holds only during the call. */
  constructor(onFrame: (type: number, stream: number, payload: Buffer) => void) {
    this.#onFrame = onFrame
  }

  /** @throws LinkProtocolError when a frame is longer than any may be. */
  push(bytes: Buffer): void {
    const buffer = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    let at = 0
    while (buffer.length - at >= FRAME_HEADER_BYTES) {
      const length = buffer.readUInt32BE(at)
      if (length > MAX_FRAME_BYTES) throw new LinkProtocolError(`A frame of ${length} bytes`)
      const end = at + FRAME_HEADER_BYTES + length
      if (end > buffer.length) break
      this.#onFrame(buffer[at + 4] ?? 0, buffer.readUInt32BE(at + 5), buffer.subarray(at + FRAME_HEADER_BYTES, end))
      at = end
    }
    this.#rest = at === buffer.length ? Buffer.alloc(0) : Buffer.from(buffer.subarray(at))
  }
}

/** The members of a head frame's payload. */
export function readHead(payload: Buffer): string[] {
  return payload.toString('latin1').split('\0')
}
