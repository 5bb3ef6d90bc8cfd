import type { Isolation, PlanCatalogue } from '../../tenancy/plan.ts'
import type { Change, Queryable } from '../stores/change.ts'
import type { SlaMonth } from './month.ts'
import type { SlaFacts, SlaReport } from './sla-report.ts'
import type { Span } from './spans.ts'

/** Of what has not ended. Far beyond every month. */
const OPEN_END = 100_000_000_000

type FactsRow = {
  tenant_id: string
  serving: [number, number | null][]
  plans: { plan: string; isolation: Isolation; from: number; until: number | null }[]
  incidents: { id: string; cause: string; detail: string; from: number; until: number | null }[]
  unobserved: [number, number][]
  maintenance: [number, number][]
}

/**
 * What is known of these tenants' month, in whole seconds: an incident begins with the second that it began in and ends with
 * the one that it ended in; what is to be served, looked at or maintained is rounded down at both ends, so that it adds up.
 */
export async function readSlaFacts(
  db: Queryable,
  tenantIds: readonly string[],
  month: SlaMonth,
  catalogue: PlanCatalogue,
): Promise<SlaFacts[]> {
  const result = await db.query<FactsRow>(
    `with month as (select to_timestamp($2) as start, to_timestamp($3) as finish)
     select tenant.tenant_id,
       coalesce((select json_agg(json_build_array(floor(extract(epoch from s.started_at)), floor(extract(epoch from s.ended_at)))
           order by s.started_at)
         from control.serving_segments s, month where s.tenant_id = tenant.tenant_id and s.started_at < finish
           and coalesce(s.ended_at, 'infinity') > start), '[]') as serving,
       coalesce((select json_agg(json_build_object('plan', p.plan, 'isolation', p.isolation,
           'from', floor(extract(epoch from p.started_at)), 'until', floor(extract(epoch from p.ended_at)))
           order by p.started_at)
         from control.plan_segments p, month where p.tenant_id = tenant.tenant_id and p.started_at < finish
           and coalesce(p.ended_at, 'infinity') > start), '[]') as plans,
       coalesce((select json_agg(json_build_object('id', i.incident_id, 'cause', i.cause, 'detail', i.detail,
           'from', floor(extract(epoch from i.started_at)), 'until', ceil(extract(epoch from i.ended_at)))
           order by i.started_at)
         from control.incidents i, month where i.tenant_id = tenant.tenant_id and i.started_at < finish
           and coalesce(i.ended_at, 'infinity') > start), '[]') as incidents,
       coalesce((select json_agg(json_build_array(floor(extract(epoch from g.started_at)), floor(extract(epoch from g.ended_at)))
           order by g.started_at)
         from control.observation_gaps g, month where g.started_at < finish and g.ended_at > start), '[]') as unobserved,
       coalesce((select json_agg(json_build_array(floor(extract(epoch from w.starts_at)), floor(extract(epoch from w.ends_at)))
           order by w.starts_at)
         from control.maintenance_windows w, month where (w.tenant_id is null or w.tenant_id = tenant.tenant_id)
           and w.starts_at < finish and w.ends_at > start), '[]') as maintenance
     from control.tenants tenant where tenant.tenant_id = any($1) order by tenant.tenant_id`,
    [tenantIds, month.from, month.until],
  )
  return result.rows.map((row) => toFacts(row, catalogue))
}

function toFacts(row: FactsRow, catalogue: PlanCatalogue): SlaFacts {
  const toSpan = (from: number, until: number | null): Span => ({ from, until: until ?? OPEN_END })
  return {
    tenantId: row.tenant_id,
    serving: row.serving.map(([from, until]) => toSpan(from, until)),
    plans: row.plans.map(({ plan, isolation, from, until }) => ({
      plan: catalogue.find(plan) ?? catalogue.defaultPlan,
      isolation,
      span: toSpan(from, until),
    })),
    incidents: row.incidents.map(({ id, cause, detail, from, until }) => ({
      incidentId: id,
      cause,
      detail,
      span: toSpan(from, until),
      isOpen: until === null,
    })),
    unobserved: row.unobserved.map(([from, until]) => toSpan(from, until)),
    maintenance: row.maintenance.map(([from, until]) => toSpan(from, until)),
  }
}

/** Up to which second somebody has looked; what is after it is not known yet. `undefined` when nobody ever looked. */
export async function readObservedUntil(db: Queryable): Promise<number | undefined> {
  const result = await db.query<{ second: number }>(
    'select floor(extract(epoch from observed_until))::float8 as second from control.observation',
  )
  return result.rows[0]?.second
}

export type FinalMonth = { report: SlaReport; credited_at: Date | null }

/** The month as it was measured for good, once it was. */
export async function findFinalMonth(db: Queryable, tenantId: string, month: string): Promise<FinalMonth | undefined> {
  const result = await db.query<FinalMonth>(
    'select report, credited_at from control.sla_months where tenant_id = $1 and month = $2::date',
    [tenantId, `${month}-01`],
  )
  return result.rows[0]
}

/** Tenants that were served in the month and whose report is not final, in order of their ids. */
export async function listUnfinished(db: Queryable, month: SlaMonth, after: string, limit: number): Promise<string[]> {
  const result = await db.query<{ tenant_id: string }>(
    `select distinct tenant_id from control.serving_segments s
     where tenant_id > $1 and started_at < to_timestamp($3) and coalesce(ended_at, 'infinity') > to_timestamp($2)
       and not exists (select from control.sla_months m where m.tenant_id = s.tenant_id and m.month = $4::date)
     order by tenant_id limit $5`,
    [after, month.from, month.until, `${month.text}-01`, limit],
  )
  return result.rows.map((row) => row.tenant_id)
}

/** Keeps reports for good; one that is there already stays as it is. */
export async function saveFinalMonths(change: Change, reports: readonly SlaReport[], now: Date): Promise<void> {
  await change.tx.query(
    `insert into control.sla_months (tenant_id, month, report, credit_micros, credited_at)
     select report->>'tenant_id', (report->>'month' || '-01')::date, report, (report->'credit'->>'amount_micros')::bigint,
       case when (report->'credit'->>'amount_micros')::bigint = 0 then $2::timestamptz end
     from jsonb_array_elements($1::jsonb) as report
     on conflict do nothing`,
    [JSON.stringify(reports), now],
  )
}

export type OpenCredit = { tenant_id: string; month: string; credit_micros: number; report: SlaReport }

/** Credits that metering has not taken over. */
export async function listOpenCredits(db: Queryable, limit: number): Promise<OpenCredit[]> {
  const result = await db.query<OpenCredit>(
    `select tenant_id, to_char(month, 'YYYY-MM') as month, credit_micros, report from control.sla_months
     where credited_at is null order by month, tenant_id limit $1`,
    [limit],
  )
  return result.rows
}

export async function markCredited(db: Queryable, tenantId: string, month: string, now: Date): Promise<void> {
  await db.query(
    'update control.sla_months set credited_at = $3 where tenant_id = $1 and month = $2::date and credited_at is null',
    [tenantId, `${month}-01`, now],
  )
}
