import type { PgOutputMessage, PgRelation, PgTuple } from './pgoutput.ts'
import type { ChangeBatch, ChangedTable, RowChange } from './row-change.ts'

/** Changes of one batch at most: a transaction of a million rows goes on in parts, and is never held whole. */
const MAX_BATCH = 500

export type TransactionReaderOptions = {
  typeNames: Map<number, string>
  onBatch: (batch: ChangeBatch) => void
  /** Every batch of a transaction has been given; it ends at this position. */
  onCommit: (endLsn: bigint) => void
}

/** Puts the stream's messages together: which table a row belongs to, and which transaction. */
export class TransactionReader {
  readonly #options: TransactionReaderOptions
  readonly #tables = new Map<number, ChangedTable>()
  #current: { lsn: string; committedAtMs: number; part: number } | undefined
  /** By schema, because each goes to other receivers. */
  readonly #pending = new Map<string, RowChange[]>()

  constructor(options: TransactionReaderOptions) {
    this.#options = options
  }

  read(message: PgOutputMessage): void {
    switch (message.kind) {
      case 'begin':
        this.#current = {
          lsn: message.finalLsn.toString(16).padStart(16, '0'),
          committedAtMs: message.committedAtMs,
          part: 0,
        }
        return
      case 'relation':
        this.#tables.set(message.relation.oid, this.#describe(message.relation))
        return
      case 'type':
        this.#options.typeNames.set(message.oid, message.name)
        return
      case 'insert':
        this.#add(message.relationOid, 'INSERT', message.row, null, false)
        return
      case 'update':
        this.#add(
          message.relationOid,
          'UPDATE',
          fillUnchanged(message.row, message.old),
          message.old,
          message.oldIsFull,
        )
        return
      case 'delete':
        this.#add(message.relationOid, 'DELETE', null, message.old, message.oldIsFull)
        return
      case 'commit':
        for (const schema of [...this.#pending.keys()]) this.#flush(schema)
        this.#current = undefined
        this.#options.onCommit(message.endLsn)
        return
      case 'other':
    }
  }

  #describe({ schema, table, columns }: PgRelation): ChangedTable {
    const { typeNames } = this.#options
    return {
      schema,
      name: table,
      columns: columns.map(({ name, typeOid }) => ({ name, type: typeNames.get(typeOid) ?? 'unknown' })),
    }
  }

  #add(oid: number, type: RowChange['type'], row: PgTuple | null, old: PgTuple | null, oldIsFull: boolean): void {
    const table = this.#tables.get(oid)
    if (table === undefined) throw new Error('A change came before the description of its table')
    const pending = this.#pending.get(table.schema)
    const change: RowChange = { table, type, row, old, oldIsFull }
    if (pending === undefined) this.#pending.set(table.schema, [change])
    else if (pending.push(change) >= MAX_BATCH) this.#flush(table.schema)
  }

  #flush(schema: string): void {
    const changes = this.#pending.get(schema)
    this.#pending.delete(schema)
    const current = this.#current
    if (changes === undefined || current === undefined) return
    const { lsn, committedAtMs, part } = current
    current.part += 1
    this.#options.onBatch({ schema, committedAtMs, position: { lsn, part }, changes })
  }
}

/** A large value that did not change is not sent again; where all of the old row was, it is there. */
function fillUnchanged(row: PgTuple, old: PgTuple | null): PgTuple {
  if (old === null || !row.includes(false)) return row
  return row.map((value, index) => (value === false ? (old[index] ?? false) : value))
}
