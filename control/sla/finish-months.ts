import type { Clock } from '../../runtime/clock.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { Problem } from '../../runtime/problem.ts'
import type { PlanCatalogue } from '../../tenancy/plan.ts'
import { makeChange } from '../stores/change.ts'
import type { MeteringClient } from '../stores/metering-client.ts'
import { monthAt, monthBefore, type SlaMonth } from './month.ts'
import { buildSlaReport } from './sla-report.ts'
import { listOpenCredits, listUnfinished, markCredited, readSlaFacts, saveFinalMonths } from './sla-store.ts'

/**
 * After a month's end probers may still tell of its last minutes (their tables were away). It ends before invoices are issued
 * (six hours), so that a credit is on the invoice of its own month.
 */
const GRACE_SECONDS = 3_600
const BATCH = 200
/** A control that was away for long finishes what it has missed. */
const MONTHS_BACK = 3

/**
 * Makes the reports of months that are over final: from then on they are answered as they were written, whatever changes. Every replica runs
 * it; who comes second finds nothing to do, or writes what is there already.
 */
export async function finishMonths(options: {
  pool: PostgresPool
  catalogue: PlanCatalogue
  clock: Clock
}): Promise<void> {
  const nowMs = options.clock.nowMs()
  const current = monthAt(nowMs)
  if (nowMs / 1_000 < current.from + GRACE_SECONDS) return
  let month = monthBefore(current)
  for (let i = 0; i < MONTHS_BACK; i++, month = monthBefore(month)) await finishMonth(options, month)
}

async function finishMonth(
  { pool, catalogue, clock }: { pool: PostgresPool; catalogue: PlanCatalogue; clock: Clock },
  month: SlaMonth,
): Promise<void> {
  for (let after = ''; ; ) {
    const tenantIds = await listUnfinished(pool, month, after, BATCH)
    const last = tenantIds.at(-1)
    if (last === undefined) return
    after = last
    const facts = await readSlaFacts(pool, tenantIds, month, catalogue)
    const reports = facts.map((one) =>
      buildSlaReport(one, month, month.until, { currency: catalogue.currency, isFinal: true }),
    )
    await makeChange(
      pool,
      async () => {},
      (change) => saveFinalMonths(change, reports, new Date(clock.nowMs())),
    )
  }
}

/** Hands credits to metering, which puts them on the next invoice. It takes each once, so telling twice is harmless. */
export async function tellCredits(options: {
  pool: PostgresPool
  metering: MeteringClient
  clock: Clock
}): Promise<void> {
  const { pool, metering, clock } = options
  for (;;) {
    const open = await listOpenCredits(pool, 100)
    for (const { tenant_id, month, credit_micros, report } of open) {
      const reason = `Service level credit for ${month}: ${report.credit.percent} % of the fees (${report.downtime_seconds} s of downtime)`
      try {
        await metering.send('PUT', `/internal/v1/tenants/${tenant_id}/credits/sla:${month}`, {
          reason,
          amount_micros: credit_micros,
        })
      } catch (fault) {
        // Less than half a minor unit of the currency: there is nothing to give back.
        if (!(fault instanceof Problem && fault.code === 'credit_too_small')) throw fault
      }
      await markCredited(pool, tenant_id, month, new Date(clock.nowMs()))
    }
    if (open.length < 100) return
  }
}
