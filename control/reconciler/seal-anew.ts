import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { Sealer } from '../../runtime/seal.ts'
import { inOneReplica } from '../one-replica.ts'
import { makeChange, type PublishTouched } from '../stores/change.ts'
import { listStale, sealAnew } from '../stores/sealed-store.ts'

const BATCH = 200

/**
 * Seals anew what lies under an older key of `AERODB_ENCRYPTION_KEYS`, so that the old key can be taken away: a day after nothing
 * is left (what is kept for repeated requests is gone by then). What no key opens any more is told, and left as it is.
 */
export async function sealStale(options: {
  pool: PostgresPool
  publish: PublishTouched
  sealer: Sealer
  log: Logger
}): Promise<void> {
  const { pool, publish, sealer, log } = options
  await inOneReplica(pool, 'seal-anew', async () => {
    const stale = await listStale(pool, sealer, BATCH)
    let sealed = 0
    for (const row of stale)
      try {
        await makeChange(pool, publish, (change) => sealAnew(change, sealer, row))
        sealed++
      } catch (fault) {
        log.error({ err: fault, key: row.key }, 'what was sealed under another key cannot be sealed anew')
      }
    if (sealed > 0) log.info({ sealed, more: stale.length === BATCH }, 'secrets were sealed under the current key')
  })
}
