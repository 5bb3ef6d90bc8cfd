import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/log.ts'
import type { PostgresPool } from '../runtime/postgres-pool.ts'
import { monthOf, previousMonth } from './month.ts'

const MONTHS_AHEAD = 4
const EVERY_MS = 6 * 3_600_000

/** Makes the ledger's partitions of last month to three months ahead, and reports what the default partition caught. */
export async function ensureLedgerPartitions(pool: PostgresPool, clock: Clock, log: Logger): Promise<void> {
  const first = previousMonth(monthOf(clock.nowMs()))
  await pool.query('select metering.ensure_ledger_partitions($1::date, $2)', [`${first.text}-01`, MONTHS_AHEAD])
  const { rows } = await pool.query<{ stray: boolean }>('select exists (select from metering.ledger_default) as stray')
  if (rows[0]?.stray === true)
    log.warn('usage of months without a partition lies in metering.ledger_default: a producer may have a wrong clock')
}

/** Keeps doing so while the service runs; a failure is logged and tried again. @returns how to stop. */
export function keepLedgerPartitions(pool: PostgresPool, clock: Clock, log: Logger): () => void {
  const timer = setInterval(() => {
    ensureLedgerPartitions(pool, clock, log).catch((fault: unknown) =>
      log.error({ err: fault }, 'the ledger partitions ahead could not be made'),
    )
  }, EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}
