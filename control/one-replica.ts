import { inTransaction, type PostgresPool } from '../runtime/postgres-pool.ts'

/**
 * Does `work` unless another replica is doing it right now: for looks that every replica could make, and that one is enough
 * for. The lock is Postgres's and ends with us.
 */
export async function inOneReplica(pool: PostgresPool, name: string, work: () => Promise<void>): Promise<void> {
  await inTransaction(pool, async (tx) => {
    const lock = await tx.query<{ taken: boolean }>('select pg_try_advisory_xact_lock(hashtext($1)) as taken', [
      `control.${name}`,
    ])
    if (lock.rows[0]?.taken === true) await work()
  })
}
