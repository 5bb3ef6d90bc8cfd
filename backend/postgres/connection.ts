import type { Socket } from 'node:net'
import pg from 'pg'
import { PreparedStatements } from './prepared-statements.ts'
import type { Outcome, Statement } from './statement.ts'
import { TransactionQuery } from './transaction-query.ts'
import { WireWriter } from './wire-writer.ts'

export type ConnectionTarget = {
  host: string
  port: number
  database: string
  user: string
  password: string
}

export type ConnectionOptions = {
  target: ConnectionTarget
  applicationName: string
  statementTimeoutMs: number
  maxPreparedStatements: number
  /** Called once, when the connection can no longer be used. */
  onLost: (fault: Error) => void
}

/** How much longer than the statement timeout an answer may take before the connection counts as dead. */
const ANSWER_GRACE_MS = 5_000

/** One connection with several transactions in flight on it, each answered in the order it was sent. */
export class Connection {
  readonly #client: pg.Client
  readonly #prepared: PreparedStatements
  readonly #writer: WireWriter
  readonly #answerTimeoutMs: number
  readonly #onLost: (fault: Error) => void
  #inFlight = 0
  #headSinceMs = 0
  #lost = false
  #ending = false
  #watchdog: NodeJS.Timeout | undefined
  idleSinceMs = performance.now()

  private constructor(client: pg.Client, options: ConnectionOptions) {
    this.#client = client
    this.#prepared = new PreparedStatements(options.maxPreparedStatements)
    this.#writer = new WireWriter((bytes) => {
      const stream = streamOf(client)
      if (stream.writable) stream.write(bytes)
    })
    this.#answerTimeoutMs = options.statementTimeoutMs + ANSWER_GRACE_MS
    this.#onLost = options.onLost
    client.on('error', (fault) => this.#lose(fault))
    client.on('end', () => this.#lose(new Error('The connection to Postgres ended')))
  }

  /** @throws when the server does not admit us within five seconds. */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const client = new pg.Client({
      ...options.target,
      application_name: options.applicationName,
      connectionTimeoutMillis: 5_000,
      statement_timeout: options.statementTimeoutMs,
      // A transaction here never waits for us between statements; if it does, we are gone.
      idle_in_transaction_session_timeout: options.statementTimeoutMs,
      // Nothing is found by name resolution but pg_catalog: every identifier that we send is qualified.
      options: '-c search_path= -c client_min_messages=error',
      pipeline: true,
      keepAlive: true,
    })
    const connection = new Connection(client, options)
    try {
      await client.connect()
    } catch (fault) {
      connection.#lost = true
      throw fault
    }
    return connection
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** For how long the oldest transaction in flight has been under way; 0 when there is none. */
  headAgeMs(nowMs: number): number {
    return this.#inFlight === 0 ? 0 : nowMs - this.#headSinceMs
  }

  /** Sends `statements` as one implicit transaction; `done` is called once, with the fault or the outcome. */
  send(statements: readonly Statement[], done: (fault: Error | undefined, outcome: Outcome) => void): void {
    if (this.#inFlight === 0) this.#startHead()
    this.#inFlight += 1
    this.#client.query(
      new TransactionQuery(statements, this.#prepared, this.#writer, (fault, outcome) => {
        this.#inFlight -= 1
        if (this.#inFlight === 0) this.idleSinceMs = performance.now()
        this.#startHead()
        // The server says goodbye before it closes: nothing more may be sent in between.
        if (fault !== undefined && endsConnection(fault)) this.#lose(fault)
        done(fault, outcome)
      }) as unknown as pg.Submittable,
    )
  }

  async end(): Promise<void> {
    this.#ending = true
    clearInterval(this.#watchdog)
    this.#writer.flush()
    await this.#client.end()
  }

  #startHead(): void {
    this.#headSinceMs = performance.now()
    if (this.#inFlight === 0) return
    // The server ends every statement by its own timeout; this only finds servers that do not answer at all.
    this.#watchdog ??= setInterval(() => {
      if (this.#inFlight === 0) {
        clearInterval(this.#watchdog)
        this.#watchdog = undefined
      } else if (performance.now() - this.#headSinceMs > this.#answerTimeoutMs) {
        streamOf(this.#client).destroy()
      }
    }, 1_000).unref()
  }

  #lose(fault: Error): void {
    clearInterval(this.#watchdog)
    if (this.#lost) return
    this.#lost = true
    if (!this.#ending) {
      streamOf(this.#client).destroy()
      this.#onLost(fault)
    }
  }
}

/** An error that is not about the statement but about the connection. */
function endsConnection(fault: Error): boolean {
  return !('severity' in fault) || fault.severity === 'FATAL' || fault.severity === 'PANIC'
}

function streamOf(client: pg.Client): Socket {
  return (client.connection as unknown as { stream: Socket }).stream
}
