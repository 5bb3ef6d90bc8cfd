import pg from 'pg'
import type { ConnectionTarget } from '../../postgres/connection.ts'
import { quoteIdentifier, quoteLiteral } from '../../postgres/quote.ts'
import { type PgOutputMessage, parsePgOutput } from './pgoutput.ts'

/** The part of pg's connection that streams; pg itself has no interface for it. */
type Wire = {
  on(event: 'copyData', listener: (message: { chunk: Buffer }) => void): void
  on(event: 'replicationStart', listener: () => void): void
  sendCopyFromChunk(chunk: Buffer): void
  stream: { pause(): void; resume(): void; destroy(): void }
}

const XLOG_DATA = 0x77
const KEEPALIVE = 0x6b
/** How often the server is told how far we are: also what keeps it from believing us gone (`wal_sender_timeout`, 60 s). */
const FEEDBACK_MS = 1_000

export type ReplicationStreamOptions = {
  target: ConnectionTarget
  slot: string
  publication: string
  onMessage: (message: PgOutputMessage) => void
  /** Called once, however the stream ends. */
  onEnd: (fault: Error | undefined) => void
}

/** One `START_REPLICATION` on a slot: reads pgoutput and tells the server how far it has been handled. */
export class ReplicationStream {
  readonly #client: pg.Client
  readonly #wire: Wire
  readonly #options: ReplicationStreamOptions
  #timer: NodeJS.Timeout | undefined
  /** Up to here everything that came is handled, and the server may forget it. */
  #confirmed = 0n
  #received = 0n
  #unhandled = 0
  #ended = false

  constructor(options: ReplicationStreamOptions) {
    this.#options = options
    this.#client = new pg.Client({
      ...options.target,
      application_name: 'aerodb-realtime-stream',
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
      // Values come in the text form that `record-json.ts` reads, whatever the server is set to.
      options: '-c datestyle=ISO -c timezone=UTC -c intervalstyle=postgres -c bytea_output=hex -c extra_float_digits=1',
      replication: 'database',
    } as pg.ClientConfig)
    this.#wire = this.#client.connection as unknown as Wire
    this.#client.on('error', (fault) => this.#end(fault))
    this.#client.on('end', () => this.#end(undefined))
  }

  /** Connects and begins; resolves once the server streams. @throws when the slot is in use, lost or not there. */
  async start(): Promise<void> {
    await this.#client.connect()
    await this.#begin()
  }

  /** Tells that everything before `lsn` is handled. */
  confirm(lsn: bigint): void {
    if (lsn > this.#confirmed) this.#confirmed = lsn
  }

  /** Marks the beginning and end of work that is under way: while there is any, idle progress is not confirmed. */
  hold(): () => void {
    this.#unhandled += 1
    return () => {
      this.#unhandled -= 1
    }
  }

  pause(): void {
    this.#wire.stream.pause()
  }

  resume(): void {
    this.#wire.stream.resume()
  }

  async close(): Promise<void> {
    if (this.#ended) return
    this.#sendFeedback()
    this.#end(undefined)
    this.#wire.stream.destroy()
  }

  async #begin(): Promise<void> {
    const { slot, publication } = this.#options
    // The replication grammar knows its words in capitals only.
    const text = `START_REPLICATION SLOT ${quoteIdentifier(slot)} LOGICAL 0/0 (proto_version '1', publication_names ${quoteLiteral(quoteIdentifier(publication))})`
    await new Promise<void>((resolve, reject) => {
      this.#wire.on('replicationStart', resolve)
      this.#wire.on('copyData', ({ chunk }) => this.#onChunk(chunk))
      // The command answers when the stream ends; until then a fault of it is the end of the stream.
      this.#client.query(text).then(
        () => this.#end(undefined),
        (fault: Error) => {
          reject(fault)
          this.#end(fault)
        },
      )
    })
    this.#timer = setInterval(() => this.#sendFeedback(), FEEDBACK_MS).unref()
  }

  #onChunk(chunk: Buffer): void {
    if (this.#ended) return
    try {
      if (chunk[0] === XLOG_DATA) {
        const walStart = chunk.readBigUInt64BE(1)
        if (walStart > this.#received) this.#received = walStart
        this.#options.onMessage(parsePgOutput(chunk.subarray(25)))
      } else if (chunk[0] === KEEPALIVE) {
        const walEnd = chunk.readBigUInt64BE(1)
        if (walEnd > this.#received) this.#received = walEnd
        // What we were sent is handled and there was nothing else for us up to here: idle slots move on too.
        if (this.#unhandled === 0) this.confirm(walEnd)
        if (chunk[17] === 1) this.#sendFeedback()
      }
    } catch (fault) {
      this.#end(fault as Error)
      this.#wire.stream.destroy()
    }
  }

  #sendFeedback(): void {
    if (this.#ended || this.#confirmed === 0n) return
    const message = Buffer.alloc(34)
    message.writeUInt8(0x72, 0)
    message.writeBigUInt64BE(this.#received > this.#confirmed ? this.#received : this.#confirmed, 1)
    message.writeBigUInt64BE(this.#confirmed, 9)
    message.writeBigUInt64BE(this.#confirmed, 17)
    message.writeBigInt64BE(BigInt(Date.now() - Date.UTC(2000, 0, 1)) * 1_000n, 25)
    this.#wire.sendCopyFromChunk(message)
  }

  #end(fault: Error | undefined): void {
    if (this.#ended) return
    this.#ended = true
    clearInterval(this.#timer)
    this.#options.onEnd(fault)
    void this.#client.end().catch(() => {})
  }
}
