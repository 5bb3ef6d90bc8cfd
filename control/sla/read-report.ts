import type { Clock } from '../../runtime/clock.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { PlanCatalogue } from '../../tenancy/plan.ts'
import type { SlaMonth } from './month.ts'
import { buildSlaReport, type SlaReport } from './sla-report.ts'
import { findFinalMonth, readObservedUntil, readSlaFacts } from './sla-store.ts'

/** What became of a month's credit. */
export type CreditStatus = 'none' | 'estimated' | 'pending' | 'handed_over'
export type ShownReport = SlaReport & { credit: SlaReport['credit'] & { status: CreditStatus } }

/** A tenant's month: as it was made final, else as it stands at this moment. `undefined` for an unknown tenant. */
export async function readReport(
  { pool, catalogue, clock }: { pool: PostgresPool; catalogue: PlanCatalogue; clock: Clock },
  tenantId: string,
  month: SlaMonth,
): Promise<ShownReport | undefined> {
  const final = await findFinalMonth(pool, tenantId, month.text)
  if (final !== undefined) return withStatus(final.report, final.credited_at === null ? 'pending' : 'handed_over')
  const [facts] = await readSlaFacts(pool, [tenantId], month, catalogue)
  if (facts === undefined) return undefined
  const nowSecond = Math.floor(clock.nowMs() / 1_000)
  const observedUntil = (await readObservedUntil(pool)) ?? 0
  // What nobody has looked at yet is not taken for up.
  const unseen = observedUntil < nowSecond ? [{ from: observedUntil, until: nowSecond }] : []
  const report = buildSlaReport({ ...facts, unobserved: [...facts.unobserved, ...unseen] }, month, nowSecond, {
    currency: catalogue.currency,
    isFinal: false,
  })
  return withStatus(report, 'estimated')
}

function withStatus(report: SlaReport, status: CreditStatus): ShownReport {
  return { ...report, credit: { ...report.credit, status: report.credit.amount_micros === 0 ? 'none' : status } }
}
