const HEAD_END = Buffer.from('\r\n\r\n')

/**
 * Finds the ends of HTTP/1.1 responses in a stream of bytes: by Content-Length or by chunks (RFC 9112, section 6). It reads
 * what the yardsticks answer to GET; it is no general client.
 */
export class ResponseReader {
  #rest: Buffer = Buffer.alloc(0)
  readonly #onResponse: (status: number) => void

  constructor(onResponse: (status: number) => void) {
    this.#onResponse = onResponse
  }

  /** @throws when the bytes are no response that it understands. */
  push(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    for (;;) {
      const headEnd = this.#rest.indexOf(HEAD_END)
      if (headEnd < 0) return
      const head = this.#rest.toString('latin1', 0, headEnd)
      const end = endOfBody(this.#rest, head, headEnd + 4)
      if (end === undefined) return
      this.#rest = this.#rest.subarray(end)
      this.#onResponse(Number(head.slice(9, 12)))
    }
  }
}

/** Where the body that begins at `start` ends, or `undefined` while it is not all there. */
function endOfBody(bytes: Buffer, head: string, start: number): number | undefined {
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)
  if (length !== null) {
    const end = start + Number(length[1])
    return end <= bytes.length ? end : undefined
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) throw new Error(`A response without a length: ${head}`)
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (!(size >= 0)) throw new Error('A broken chunk')
    at = lineEnd + 2 + size + 2
    if (at > bytes.length) return undefined
    if (size === 0) return at
  }
}
