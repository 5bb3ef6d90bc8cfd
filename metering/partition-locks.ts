import pg from 'pg'
import type { Logger } from '../runtime/log.ts'

/** Names the lock space of stream partitions among the database's advisory locks. */
const LOCK_CLASS = 0x4d455445

/**
 * The exclusive right of one sink to a partition: a session's advisory lock. The transactions that count the partition run on
 * that same session, so a sink that has lost its lock cannot commit any more.
 */
export class PartitionLock {
  readonly partition: number
  readonly client: pg.Client
  lost = false

  private constructor(partition: number, client: pg.Client) {
    this.partition = partition
    this.client = client
  }

  /** Tries to take the lock; `undefined` when another sink has it. @throws when the database is away. */
  static async tryTake(databaseUrl: string, partition: number, log: Logger): Promise<PartitionLock | undefined> {
    const client = new pg.Client({
      connectionString: databaseUrl,
      application_name: `aerodb-usage-sink-${partition}`,
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
      statement_timeout: 60_000,
    })
    const lock = new PartitionLock(partition, client)
    client.on('error', (fault) => {
      if (!lock.lost) log.warn({ err: fault, partition }, 'the sink lost its database connection')
      lock.lost = true
    })
    client.on('end', () => {
      lock.lost = true
    })
    try {
      await client.connect()
      const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1, $2) as taken', [
        LOCK_CLASS,
        partition,
      ])
      if (rows[0]?.taken === true) return lock
    } catch (fault) {
      await client.end().catch(() => {})
      throw fault
    }
    await client.end()
    return undefined
  }

  async release(): Promise<void> {
    this.lost = true
    await this.client.end().catch(() => {})
  }
}
