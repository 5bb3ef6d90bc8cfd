import { type FrameWriter, INITIAL_WINDOW_BYTES } from './frames.ts'

/** What the owner of a stream is told. Nothing is called after `onEnd` and `onReset` both had their chance. */
export type StreamEvents = {
  /** A piece of the other side's body; it is a copy and may be kept. Call `consumed` when it has gone on its way. */
  onData(bytes: Buffer): void
  /** The other side's body is over. */
  onEnd(): void
  /** The other side, or the connection, gave the stream up. */
  onReset(fault: Error): void
  /** Room again after `write` said that there is none. */
  onDrain(): void
}

/**
 * One side of a stream: sends a body within the window that the peer granted, and grants the peer a window for its own. A
 * slow reader stops its own stream only; memory per stream is bounded by the window.
 */
export class StreamSide {
  readonly id: number
  readonly #writer: FrameWriter
  readonly #events: StreamEvents
  readonly #onClosed: (id: number) => void
  #sendWindow = INITIAL_WINDOW_BYTES
  #consumedBytes = 0
  #waiting: Buffer[] = []
  #endWaits = false
  #isSendOver = false
  #isReceiveOver = false

  constructor(id: number, writer: FrameWriter, events: StreamEvents, onClosed: (id: number) => void) {
    this.id = id
    this.#writer = writer
    this.#events = events
    this.#onClosed = onClosed
  }

  /** Sends a piece of the body; false when the peer is slow: wait for `onDrain` before the next. */
  write(bytes: Uint8Array): boolean {
    if (this.#isSendOver || this.#endWaits) return true
    if (this.#waiting.length === 0 && bytes.length <= this.#sendWindow) {
      this.#sendWindow -= bytes.length
      this.#writer.data(this.id, bytes)
      return this.#sendWindow > 0
    }
    this.#waiting.push(Buffer.from(bytes))
    this.#sendWaiting()
    return this.#waiting.length === 0
  }

  end(bytes?: Uint8Array): void {
    if (this.#isSendOver || this.#endWaits) return
    if (bytes !== undefined && bytes.length > 0) this.write(bytes)
    this.#endWaits = true
    this.#sendWaiting()
  }

  /** Gives the stream up: the peer is told, and nothing more is heard of it here. */
  reset(): void {
    if (this.#isSendOver && this.#isReceiveOver) return
    this.#writer.reset(this.id)
    this.#close()
  }

  /** Says that `count` bytes of the peer's body have gone on their way, so that it may send as many more. */
  consumed(count: number): void {
    if (this.#isReceiveOver) return
    this.#consumedBytes += count
    if (this.#consumedBytes < INITIAL_WINDOW_BYTES / 2) return
    this.#writer.window(this.id, this.#consumedBytes)
    this.#consumedBytes = 0
  }

  receiveData(payload: Buffer): void {
    if (!this.#isReceiveOver) this.#events.onData(Buffer.from(payload))
  }

  receiveEnd(): void {
    if (this.#isReceiveOver) return
    this.#isReceiveOver = true
    this.#events.onEnd()
    if (this.#isSendOver) this.#onClosed(this.id)
  }

  receiveReset(fault: Error): void {
    if (this.#isSendOver && this.#isReceiveOver) return
    this.#close()
    this.#events.onReset(fault)
  }

  receiveWindow(bytes: number): void {
    this.#sendWindow += bytes
    const hadWaiting = this.#waiting.length > 0 || this.#sendWindow === bytes
    this.#sendWaiting()
    if (hadWaiting && this.#waiting.length === 0 && !this.#isSendOver) this.#events.onDrain()
  }

  #sendWaiting(): void {
    while (this.#waiting.length > 0 && this.#sendWindow > 0) {
      const [first] = this.#waiting
      if (first === undefined) break
      const piece = first.subarray(0, this.#sendWindow)
      this.#sendWindow -= piece.length
      this.#writer.data(this.id, piece)
      if (piece.length === first.length) this.#waiting.shift()
      else this.#waiting[0] = first.subarray(piece.length)
    }
    if (this.#endWaits && this.#waiting.length === 0 && !this.#isSendOver) {
      this.#isSendOver = true
      this.#writer.end(this.id)
      if (this.#isReceiveOver) this.#onClosed(this.id)
    }
  }

  #close(): void {
    this.#isSendOver = true
    this.#isReceiveOver = true
    this.#waiting = []
    this.#onClosed(this.id)
  }
}
