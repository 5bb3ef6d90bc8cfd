import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/log.ts'
import type { Billing } from './billing.ts'
import { monthOf, previousMonth } from './month.ts'

/** For so long after a month's end its records may still be on their way; what comes later is an adjustment of the next. */
const GRACE_MS = 6 * 3_600_000
const EVERY_MS = 3_600_000

/**
 * Closes last month once its records have had time to arrive, and goes on to do so for tenants that could not be invoiced
 * before. Every replica runs it: who comes second finds nothing to do. @returns how to stop.
 */
export function keepClosingMonths(billing: Billing, clock: Clock, log: Logger): () => Promise<void> {
  let running: Promise<void> = Promise.resolve()
  const round = async () => {
    const current = monthOf(clock.nowMs())
    if (clock.nowMs() < current.startMs + GRACE_MS) return
    try {
      const { month, closed, failed } = await billing.closeMonth(previousMonth(current))
      if (closed > 0) log.info({ month, closed }, 'invoices were issued')
      if (failed.length > 0)
        log.error({ month, failed: failed.slice(0, 20), count: failed.length }, 'tenants could not be invoiced')
    } catch (fault) {
      log.error({ err: fault }, 'last month could not be closed: it is tried again')
    }
  }
  const start = () => {
    running = running.then(round)
  }
  const first = setTimeout(start, 10_000)
  const timer = setInterval(start, EVERY_MS)
  return async () => {
    clearTimeout(first)
    clearInterval(timer)
    await running
  }
}
