import pg from 'pg'

/** What `pg` takes, and a connection that speaks the replication protocol besides SQL (`replication: 'database'`). */
export type PostgresClientConfig = pg.ClientConfig & { replication?: 'database' }

/**
 * A connection outside of any pool, open; whoever asks for it ends it. One that breaks while nothing is asked of it is told by the
 * next query, and is no fault of the process.
 */
export async function connectPostgres(config: PostgresClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config)
  client.on('error', () => {})
  await client.connect()
  return client
}

/** Runs `work` with a connection and ends it, whatever came of that. */
export async function withPostgres<Result>(
  opening: Promise<pg.Client>,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = await opening
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
