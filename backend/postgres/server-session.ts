import pg from 'pg'
import type { Logger } from '../../runtime/log.ts'
import type { ConnectionTarget } from './connection.ts'

/** The channel on which a server's event trigger names each schema whose objects were changed. */
export const DDL_CHANNEL = 'aerodb_ddl'
const MAX_BACK_OFF_MS = 5_000

/**
 * The one connection to a server that is not pooled: it listens to schema changes, and holds what belongs to a session. While
 * it is not there, `isListening` is false and what is cached must be doubted.
 */
export class ServerSession {
  readonly #target: ConnectionTarget
  readonly #onSchemaChange: (schema: string) => void
  readonly #onGap: () => void
  readonly #log: Logger
  #client: pg.Client | undefined
  #listening = false
  #stopped = false
  #attempt = 0
  #retry: NodeJS.Timeout | undefined

  /** @param options.onGap is called when changes may have been missed. */
  constructor(options: {
    target: ConnectionTarget
    onSchemaChange: (schema: string) => void
    onGap: () => void
    log: Logger
  }) {
    this.#target = options.target
    this.#onSchemaChange = options.onSchemaChange
    this.#onGap = options.onGap
    this.#log = options.log
  }

  get isListening(): boolean {
    return this.#listening
  }

  start(): void {
    if (this.#stopped || this.#client !== undefined) return
    const client = new pg.Client({
      ...this.#target,
      application_name: 'aerodb-backend-session',
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
    })
    this.#client = client
    let lost = false
    const lose = (fault?: Error) => {
      if (lost) return
      lost = true
      this.#client = undefined
      if (this.#listening) {
        this.#listening = false
        this.#onGap()
      }
      if (this.#stopped) return
      if (this.#attempt === 0) this.#log.warn({ err: fault }, 'not listening to schema changes')
      this.#attempt += 1
      this.#retry = setTimeout(() => this.start(), Math.min(100 * 2 ** this.#attempt, MAX_BACK_OFF_MS))
      this.#retry.unref()
    }
    client.on('notification', (message) => {
      if (message.channel === DDL_CHANNEL && message.payload !== undefined) this.#onSchemaChange(message.payload)
    })
    client.on('error', (fault) => {
      lose(fault)
      void client.end().catch(() => {})
    })
    client.on('end', () => lose())
    client
      .connect()
      .then(() => client.query(`listen ${DDL_CHANNEL}`))
      .then(() => {
        if (lost) return
        this.#attempt = 0
        this.#listening = true
        // What was cached before we listened may be old.
        this.#onGap()
      })
      .catch((fault: Error) => {
        lose(fault)
        void client.end().catch(() => {})
      })
  }

  /** Runs one statement on this session. @throws when the session is not there. */
  async query<Row extends pg.QueryResultRow>(text: string, values: readonly string[] = []): Promise<readonly Row[]> {
    if (this.#client === undefined || !this.#listening) throw new Error('The session is not connected')
    return (await this.#client.query<Row>(text, [...values])).rows
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#listening = false
    clearTimeout(this.#retry)
    await this.#client?.end().catch(() => {})
  }
}
