import pg from 'pg'
import type { Logger } from './log.ts'

export type PostgresPool = pg.Pool
export type PostgresClient = pg.PoolClient

/** bigint columns hold counts and bytes here: they are read as JavaScript numbers (safe below 2^53). */
const types = new pg.TypeOverrides()
types.setTypeParser(pg.types.builtins.INT8, Number)

/** Makes a bounded pool over one database; a connection lost while idle is logged and replaced, never thrown. */
export function makePostgresPool(options: {
  url: string
  /** Shown in `pg_stat_activity`. */
  applicationName: string
  maxConnections: number
  statementTimeoutMs?: number
  log: Logger
}): PostgresPool {
  const pool = new pg.Pool({
    connectionString: options.url,
    application_name: options.applicationName,
    max: options.maxConnections,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    types,
    ...(options.statementTimeoutMs === undefined ? {} : { statement_timeout: options.statementTimeoutMs }),
  })
  pool.on('error', ({ message, stack }) =>
    // The pool hangs the whole client on the error: pages of a log line, with what it knows of the connection.
    options.log.warn({ err: { message, stack } }, 'an idle Postgres connection was lost'),
  )
  // One that is lost between two queries of its holder would end the process: the holder's next query tells it as well.
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** Runs `work` in one transaction on one connection: committed when it resolves, rolled back when it throws. */
export async function inTransaction<Result>(
  pool: PostgresPool,
  work: (client: PostgresClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect()
  let broken: Error | undefined
  try {
    await client.query('begin')
    const result = await work(client)
    await client.query('commit')
    return result
  } catch (fault) {
    await client.query('rollback').catch((rollbackFault: Error) => {
      broken = rollbackFault
    })
    throw fault
  } finally {
    client.release(broken)
  }
}
