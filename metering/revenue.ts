import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/log.ts'
import type { PostgresPool } from '../runtime/postgres-pool.ts'
import type { Billing } from './billing.ts'
import { type Month, monthOf } from './month.ts'

const EVERY_MS = 15 * 60_000
const FIRST_MS = 15_000
/** A figure that is younger is another replica's, and good enough. */
const FRESH_MS = 10 * 60_000

/** What a month brings in: invoiced, given back by credit notes, paid; of the open month the drafts as last added up. */
export type MonthRevenue = {
  month: string
  state: 'open' | 'over'
  invoices: number
  invoiced_micros: number
  credited_micros: number
  paid_micros: number
  drafts: { tenants: number; total_micros: number; by_plan: PlanRevenue[]; as_of: string } | null
}
export type PlanRevenue = { plan: string; tenants: number; total_micros: number }

/** The last `count` months, the newest first. */
export async function readRevenue(pool: PostgresPool, current: Month, count: number): Promise<MonthRevenue[]> {
  const { rows } = await pool.query<{ month: string; invoices: number; [sum: string]: unknown }>(
    `select to_char(m.month, 'YYYY-MM') as month, i.*, s.tenants, s.total_micros::text as so_far, s.by_plan, s.as_of
     from generate_series(0, $2::int - 1) back
     cross join lateral (select ($1::date - make_interval(months => back))::date as month) m
     cross join lateral (
       select (count(*) filter (where kind = 'invoice'))::int as invoices,
         coalesce(sum(total_micros) filter (where kind = 'invoice'), 0)::text as invoiced,
         coalesce(-sum(total_micros) filter (where kind = 'credit_note'), 0)::text as credited,
         coalesce(sum(total_micros) filter (where kind = 'invoice' and state = 'paid'), 0)::text as paid
       from metering.invoices where month = m.month and state <> 'void') i
     left join metering.revenue_so_far s on s.month = m.month
     order by m.month desc`,
    [`${current.text}-01`, count],
  )
  return rows.map((row) => ({
    month: row.month,
    state: row.month === current.text ? 'open' : 'over',
    invoices: row.invoices,
    invoiced_micros: Number(row.invoiced),
    credited_micros: Number(row.credited),
    paid_micros: Number(row.paid),
    drafts:
      row.month === current.text && row.as_of instanceof Date
        ? {
            tenants: Number(row.tenants),
            total_micros: Number(row.so_far),
            by_plan: row.by_plan as PlanRevenue[],
            as_of: row.as_of.toISOString(),
          }
        : null,
  }))
}

/** Adds the drafts of the month of now up and keeps the sum, unless a replica did a moment ago. */
export async function addUpRevenue(pool: PostgresPool, billing: Billing, clock: Clock): Promise<void> {
  const nowMs = clock.nowMs()
  const month = monthOf(nowMs)
  const fresh = await pool.query(`select from metering.revenue_so_far where month = $1::date and as_of > $2`, [
    `${month.text}-01`,
    new Date(nowMs - FRESH_MS),
  ])
  if (fresh.rowCount !== 0) return
  const byPlan = new Map<string, PlanRevenue>()
  for await (const { plan = 'none', totalMicros } of billing.drafts(month)) {
    const sum = byPlan.get(plan) ?? { plan, tenants: 0, total_micros: 0 }
    byPlan.set(plan, { plan, tenants: sum.tenants + 1, total_micros: sum.total_micros + totalMicros })
  }
  const plans = [...byPlan.values()]
  await pool.query(
    `insert into metering.revenue_so_far (month, currency, tenants, total_micros, by_plan, as_of)
     values ($1::date, $2, $3, $4, $5, $6)
     on conflict (month) do update set currency = excluded.currency, tenants = excluded.tenants,
       total_micros = excluded.total_micros, by_plan = excluded.by_plan, as_of = excluded.as_of`,
    [
      `${month.text}-01`,
      billing.currency,
      plans.reduce((sum, plan) => sum + plan.tenants, 0),
      plans.reduce((sum, plan) => sum + plan.total_micros, 0),
      JSON.stringify(plans.toSorted((a, b) => (a.plan < b.plan ? -1 : 1))),
      new Date(nowMs),
    ],
  )
}

/** Adds up soon after the start, then every quarter of an hour. @returns how to stop. */
export function keepAddingUpRevenue(
  pool: PostgresPool,
  billing: Billing,
  clock: Clock,
  log: Logger,
): () => Promise<void> {
  let running: Promise<void> = Promise.resolve()
  const round = () => {
    running = running
      .then(() => addUpRevenue(pool, billing, clock))
      .catch((fault) => log.warn({ err: fault }, 'the revenue of the month could not be added up'))
  }
  const first = setTimeout(round, FIRST_MS)
  const timer = setInterval(round, EVERY_MS)
  return async () => {
    clearTimeout(first)
    clearInterval(timer)
    await running
  }
}
