import pg from 'pg'
import { inTransaction, type PostgresClient, type PostgresPool } from '../../runtime/postgres-pool.ts'

/** What statements can be asked of: a pool, or one connection. */
export type Queryable = Pick<pg.ClientBase, 'query'>

/** A document of the directory that a change has put behind. */
export type TouchedDocument = { kind: 'tenant' | 'server'; key: string }

/** One transaction on the tables, and the directory documents that have to be published once it is committed. */
export type Change = { readonly tx: PostgresClient; readonly touched: TouchedDocument[] }

/** Publishes documents that changed; what it fails to publish stays in the outbox. */
export type PublishTouched = (touched: readonly TouchedDocument[]) => Promise<void>

const DEADLOCK = '40P01'
const MAX_ATTEMPTS = 3

/**
 * Runs `work` in one transaction, then publishes what it touched. A crash after the commit loses nothing: the documents
 * are in the outbox, written by the same transaction. Postgres may end a
 * transaction to resolve a deadlock: it is made anew, so `work` acts on the transaction only.
 */
export async function makeChange<Result>(
  pool: PostgresPool,
  publish: PublishTouched,
  work: (change: Change) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    const touched: TouchedDocument[] = []
    try {
      const result = await inTransaction(pool, (tx) => work({ tx, touched }))
      if (touched.length > 0) await publish(touched)
      return result
    } catch (fault) {
      if (attempt === MAX_ATTEMPTS || !(fault instanceof pg.DatabaseError && fault.code === DEADLOCK)) throw fault
    }
  }
}
