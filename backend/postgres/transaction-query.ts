import pg from 'pg'
import type { PreparedStatements } from './prepared-statements.ts'
import type { Outcome, Statement, TextRow } from './statement.ts'
import type { WireWriter } from './wire-writer.ts'

/**
 * Several statements sent under one Sync: one round trip, and (PostgreSQL 55.2.4, "Pipelining") one implicit transaction,
 * which the server commits at the Sync or rolls back as a whole at the first error. The last statement's rows are kept.
 * Nothing is described: results are text, and the sender knows their shape.
 */
export class TransactionQuery {
  readonly #statements: readonly Statement[]
  readonly #prepared: PreparedStatements
  readonly #writer: WireWriter
  readonly #done: (fault: Error | undefined, outcome: Outcome) => void
  /** Names whose Parse travels with this query. */
  readonly #parsing: { text: string; name: string }[] = []
  /** Which statement's rows are kept. */
  readonly #answering: number
  #rows: TextRow[] = []
  #completed = 0
  #affectedRows = 0
  #ended = false

  /** @param done is called exactly once, with the fault or the last statement's outcome. */
  constructor(
    statements: readonly Statement[],
    prepared: PreparedStatements,
    writer: WireWriter,
    done: (fault: Error | undefined, outcome: Outcome) => void,
  ) {
    this.#statements = statements
    this.#answering = statements.findLastIndex((statement) => statement.isEpilogue !== true)
    this.#prepared = prepared
    this.#writer = writer
    this.#done = done
  }

  submit(): null {
    const writer = this.#writer
    for (const name of this.#prepared.takeClosing()) writer.close(name)
    for (const statement of this.#statements) {
      const use = this.#prepared.use(statement.text)
      // An eviction must reach the server before the new name does, so the number of names stays bounded there too.
      for (const name of this.#prepared.takeClosing()) writer.close(name)
      if (use.parse) {
        writer.parse(use.name, statement.text)
        if (use.name !== '') this.#parsing.push({ text: statement.text, name: use.name })
      }
      writer.bind(use.name, statement.values)
      writer.execute()
    }
    writer.sync()
    return null
  }

  handleDataRow(message: { fields: (string | null)[] }): void {
    if (this.#completed === this.#answering) this.#rows.push(message.fields)
  }

  handleCommandComplete(message: { text: string }): void {
    if (this.#completed === this.#answering) this.#affectedRows = affectedRows(message.text)
    this.#completed += 1
  }

  handleReadyForQuery(): void {
    for (const { text, name } of this.#parsing) this.#prepared.confirm(text, name)
    this.#end(undefined)
  }

  handleError(fault: Error): void {
    for (const { text, name } of this.#parsing) this.#prepared.fail(text, name)
    this.#end(fault)
  }

  handleRowDescription(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}
  handleCopyInResponse(wire: { sendCopyFail(reason: string): void }): void {
    wire.sendCopyFail('COPY is not available here')
  }

  #end(fault: Error | undefined): void {
    if (this.#ended) return
    this.#ended = true
    this.#done(fault, { rows: this.#rows, affectedRows: this.#affectedRows })
  }
}

/**
 * pg's client lets only its own `Query` into pipeline mode, by `instanceof`. What it calls there is all defined above, so the
 * prototype is named without running its constructor, which would make an event emitter and a result for nothing.
 */
Object.setPrototypeOf(TransactionQuery.prototype, pg.Query.prototype)

/** The count in a command tag such as `INSERT 0 3` or `SELECT 1`. */
function affectedRows(tag: string): number {
  const count = Number(tag.slice(tag.lastIndexOf(' ') + 1))
  return Number.isInteger(count) ? count : 0
}
