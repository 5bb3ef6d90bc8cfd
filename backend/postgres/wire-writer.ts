const INITIAL_BYTES = 16_384
/** A larger buffer is not kept: one big insert shall not cost memory for ever. */
const KEPT_BYTES = 262_144

/**
 * Writes messages of PostgreSQL's extended query protocol (PostgreSQL 55.7) into one buffer, which leaves in one write at the
 * end of the event-loop turn: a transaction is seven messages, and many transactions of many requests come in one turn.
 */
export class WireWriter {
  readonly #send: (bytes: Buffer) => void
  #buffer = Buffer.allocUnsafe(INITIAL_BYTES)
  #length = 0
  #isScheduled = false

  constructor(send: (bytes: Buffer) => void) {
    this.#send = send
  }

  /** Parses `text` under `name`; the types of parameters are for the server to infer. */
  parse(name: string, text: string): void {
    const start = this.#begin('P', name.length + text.length * 3 + 8)
    this.#cString(name)
    this.#cString(text)
    this.#int16(0)
    this.#end(start)
  }

  /** Binds the unnamed portal, all values and results in text format. */
  bind(name: string, values: readonly (string | null)[]): void {
    let atMost = name.length + 16
    for (const value of values) atMost += 4 + (value === null ? 0 : value.length * 3)
    const start = this.#begin('B', atMost)
    this.#cString('')
    this.#cString(name)
    this.#int16(0)
    this.#int16(values.length)
    for (const value of values) {
      if (value === null) this.#int32(-1)
      else {
        const at = this.#length
        this.#length += 4
        this.#text(value)
        this.#buffer.writeInt32BE(this.#length - at - 4, at)
      }
    }
    this.#int16(0)
    this.#end(start)
  }

  /** Executes the unnamed portal to its end. */
  execute(): void {
    const start = this.#begin('E', 8)
    this.#cString('')
    this.#int32(0)
    this.#end(start)
  }

  /** Closes a prepared statement. */
  close(name: string): void {
    const start = this.#begin('C', name.length + 4)
    this.#text('S')
    this.#cString(name)
    this.#end(start)
  }

  sync(): void {
    this.#end(this.#begin('S', 0))
    if (this.#isScheduled) return
    this.#isScheduled = true
    process.nextTick(() => this.flush())
  }

  /** Sends what was written. */
  flush(): void {
    this.#isScheduled = false
    if (this.#length === 0) return
    const bytes = this.#buffer.subarray(0, this.#length)
    // The socket may hold on to what it was given, so the next turn writes behind it or into a new buffer.
    const rest = this.#buffer.subarray(this.#length)
    this.#buffer = rest.length >= 4_096 && rest.length <= KEPT_BYTES ? rest : Buffer.allocUnsafe(INITIAL_BYTES)
    this.#length = 0
    this.#send(bytes)
  }

  /** Makes room for a message of at most `atMost` bytes; gives where it begins. */
  #begin(type: string, atMost: number): number {
    const needed = this.#length + atMost + 5
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
      this.#buffer.copy(larger, 0, 0, this.#length)
      this.#buffer = larger
    }
    const start = this.#length
    this.#buffer[start] = type.charCodeAt(0)
    this.#length += 5
    return start
  }

  #end(start: number): void {
    this.#buffer.writeInt32BE(this.#length - start - 1, start + 1)
  }

  #cString(text: string): void {
    this.#text(text)
    this.#buffer[this.#length++] = 0
  }

  #text(text: string): void {
    this.#length += this.#buffer.write(text, this.#length, 'utf8')
  }

  #int16(value: number): void {
    this.#length = this.#buffer.writeInt16BE(value, this.#length)
  }

  #int32(value: number): void {
    this.#length = this.#buffer.writeInt32BE(value, this.#length)
  }
}
