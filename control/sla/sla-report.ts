import type { Isolation, Plan } from '../../tenancy/plan.ts'
import type { SlaMonth } from './month.ts'
import { countSeconds, intersectSpans, joinSpans, type Span, subtractSpans } from './spans.ts'

/** What is known of one tenant's month; spans may reach past the month, an open end is a late one. */
export type SlaFacts = {
  tenantId: string
  /** When it was to be served. */
  serving: readonly Span[]
  plans: readonly { plan: Plan; isolation: Isolation; span: Span }[]
  incidents: readonly {
    incidentId: string
    cause: string
    detail: string
    span: Span
    /** It has not ended. */
    isOpen: boolean
  }[]
  /** When nobody looked. */
  unobserved: readonly Span[]
  maintenance: readonly Span[]
}

export type SlaTarget = {
  plan: string
  /** The promised part of the month, or `null`: best effort. */
  uptime: number | null
  /** What the promise leaves room for in this month, in seconds. */
  allowed_downtime_seconds: number | null
}

export type SlaReport = {
  tenant_id: string
  month: string
  period: { start: string; end: string }
  as_of: string
  /** Whether the month is over and measured for good. */
  final: boolean
  /** The part of the measured time in which the tenant answered, cut after six digits; `null` while nothing was measured. */
  uptime: number | null
  uptime_percent: string | null
  measured_seconds: number
  downtime_seconds: number
  /** Downtime in declared maintenance windows, which does not count. */
  maintenance_downtime_seconds: number
  /** When nobody looked: neither up nor down. */
  unobserved_seconds: number
  target: SlaTarget | null
  met: boolean | null
  plans: (SlaTarget & {
    served_seconds: number
    downtime_seconds: number
    met: boolean | null
    credit_percent: number
  })[]
  incidents: {
    incident_id: string
    cause: string
    detail: string
    started_at: string
    ended_at: string | null
    downtime_seconds: number
    maintenance_seconds: number
  }[]
  credit: { currency: string; amount_micros: number; percent: number }
}

/**
 * The month of a tenant as it was, up to `nowSecond`. Pure, in whole seconds. The rules:
 * - measured is when the tenant was to be served and somebody looked; down is measured time within incidents;
 * - downtime in maintenance windows does not count;
 * - a plan's promise is judged over the stretch on that plan, in a month that goes on as if it went on until its end: the
 *   promise allows `downtime_seconds_per_month`, or `1 - uptime` of that stretch where no seconds are stated;
 * - where it was not kept the highest step of the plan's schedule that the uptime fell below is given back, of the fees for
 *   the stretch.
 */
export function buildSlaReport(
  facts: SlaFacts,
  month: SlaMonth,
  nowSecond: number,
  options: { currency: string; isFinal: boolean },
): SlaReport {
  const until = Math.min(month.until, Math.max(nowSecond, month.from))
  const past = joinSpans([{ from: month.from, until }])
  const serving = intersectSpans(joinSpans(facts.serving), past)
  const unobserved = intersectSpans(joinSpans(facts.unobserved), serving)
  const measured = subtractSpans(serving, unobserved)
  const maintenance = joinSpans(facts.maintenance)
  const down = intersectSpans(joinSpans(facts.incidents.map(({ span }) => span)), measured)
  const counted = subtractSpans(down, maintenance)
  const [measuredSeconds, downSeconds] = [countSeconds(measured), countSeconds(counted)]
  const rest = until < month.until && isOpenAt(facts.serving, until) ? [{ from: until, until: month.until }] : []
  const promised = joinSpans([...measured, ...rest])
  const plans = [...Map.groupBy(facts.plans, ({ plan }) => plan.id).values()].flatMap((stretches) =>
    judgePlan(stretches, promised, counted, month),
  )
  const last = facts.plans.filter(({ span }) => span.from < month.until).at(-1)
  const current = plans.find((one) => one.plan === last?.plan.id)
  const uptime = measuredSeconds === 0 ? null : cutDigits((measuredSeconds - downSeconds) / measuredSeconds)
  return {
    tenant_id: facts.tenantId,
    month: month.text,
    period: { start: toText(month.from), end: toText(month.until) },
    as_of: toText(until),
    final: options.isFinal,
    uptime,
    uptime_percent: uptime === null ? null : (uptime * 100).toFixed(4),
    measured_seconds: measuredSeconds,
    downtime_seconds: downSeconds,
    maintenance_downtime_seconds: countSeconds(down) - downSeconds,
    unobserved_seconds: countSeconds(unobserved),
    target:
      current === undefined
        ? null
        : {
            plan: current.plan,
            uptime: current.uptime,
            allowed_downtime_seconds: current.allowed_downtime_seconds,
          },
    met: verdictOf(plans.map((one) => one.met)),
    plans: plans.map(({ creditMicros: _, ...one }) => one),
    incidents: facts.incidents
      .filter(({ span }) => span.from < until && span.until > month.from)
      .map((incident) => {
        const own = intersectSpans(joinSpans([incident.span]), measured)
        const ownCounted = countSeconds(subtractSpans(own, maintenance))
        return {
          incident_id: incident.incidentId,
          cause: incident.cause,
          detail: incident.detail,
          started_at: toText(incident.span.from),
          ended_at: incident.isOpen ? null : toText(incident.span.until),
          downtime_seconds: ownCounted,
          maintenance_seconds: countSeconds(own) - ownCounted,
        }
      }),
    credit: {
      currency: options.currency,
      amount_micros: plans.reduce((sum, one) => sum + one.creditMicros, 0),
      percent: Math.max(0, ...plans.map((one) => one.credit_percent)),
    },
  }
}

function judgePlan(
  stretches: SlaFacts['plans'],
  promised: readonly Span[],
  counted: readonly Span[],
  month: SlaMonth,
): (SlaReport['plans'][number] & { creditMicros: number })[] {
  const [first] = stretches
  if (first === undefined) return []
  const { plan } = first
  const stretch = joinSpans(stretches.map(({ span }) => span))
  const served = countSeconds(intersectSpans(promised, stretch))
  if (served === 0) return []
  const downtime = countSeconds(intersectSpans(counted, stretch))
  const { uptime, downtime_seconds_per_month: seconds } = plan.sla
  const allowed = seconds ?? (uptime === null ? null : Math.floor((1 - uptime) * served + 1e-6))
  const met = allowed === null ? null : downtime <= allowed
  const steps = (plan.sla.credits ?? []).filter(({ below }) => (served - downtime) / served < below)
  const percent = met === false ? Math.max(0, ...steps.map((step) => step.percent)) : 0
  return [
    {
      plan: plan.id,
      uptime,
      allowed_downtime_seconds: allowed,
      served_seconds: served,
      downtime_seconds: downtime,
      met,
      credit_percent: percent,
      creditMicros: Math.floor((feesMicros(stretches, month) * percent) / 100),
    },
  ]
}

/** The fees for stretches of a month, prorated by the second as invoices do. */
function feesMicros(stretches: SlaFacts['plans'], month: SlaMonth): number {
  const whole = month.until - month.from
  return stretches.reduce((sum, { plan, isolation, span }) => {
    const fee = plan.base_fee_micros + (plan.isolation_surcharge_micros[isolation] ?? 0)
    const upTo = (second: number) =>
      Number((BigInt(fee) * BigInt(Math.min(Math.max(second - month.from, 0), whole))) / BigInt(whole))
    return sum + upTo(span.until) - upTo(span.from)
  }, 0)
}

function verdictOf(verdicts: readonly (boolean | null)[]): boolean | null {
  if (verdicts.includes(false)) return false
  return verdicts.includes(true) ? true : null
}

function isOpenAt(spans: readonly Span[], second: number): boolean {
  return spans.some(({ from, until }) => from <= second && second < until)
}

/** Never rounded up: what was not whole is not shown as whole. */
function cutDigits(fraction: number): number {
  return Math.floor(fraction * 1e6 + 1e-6) / 1e6
}

function toText(second: number): string {
  return new Date(second * 1_000).toISOString()
}
