/** Follows the frames of a WebSocket's byte stream (RFC 6455 5.2), to know where a frame of ours may be put between two. */
export class FrameBoundary {
  /** Bytes of the current frame's header so far; 14 is the longest. */
  readonly #header = Buffer.alloc(14)
  #headerSize = 0
  #payloadLeft = 0

  /** True when every frame that has begun is whole. */
  get isBetweenFrames(): boolean {
    return this.#headerSize === 0 && this.#payloadLeft === 0
  }

  follow(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const taken = Math.min(this.#payloadLeft, chunk.length - at)
        this.#payloadLeft -= taken
        at += taken
        continue
      }
      this.#header[this.#headerSize++] = chunk[at++] ?? 0
      const second = this.#header[1] ?? 0
      const short = second & 0x7f
      const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
      const maskBytes = (second & 0x80) === 0 ? 0 : 4
      if (this.#headerSize < 2 || this.#headerSize < 2 + lengthBytes + maskBytes) continue
      this.#payloadLeft =
        lengthBytes === 0
          ? short
          : lengthBytes === 2
            ? this.#header.readUInt16BE(2)
            : Number(this.#header.readBigUInt64BE(2))
      this.#headerSize = 0
    }
  }
}
