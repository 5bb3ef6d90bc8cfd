import { z } from 'zod'
import { ISOLATIONS, type Isolation, type PlanCatalogue } from '../tenancy/plan.ts'
import type { Month } from './month.ts'
import type { RatedSegment } from './rating.ts'

const time = z.iso.datetime({ offset: true })

/**
 * What control tells about a tenant, whole each time: its name, and on which plan and isolation it was from when until when
 * (half-open; `until: null` is open). `version` grows with every change, so an older message never replaces a newer one.
 */
export const planHistorySchema = z.strictObject({
  name: z.string().min(1).max(63),
  version: z.number().int().nonnegative(),
  segments: z
    .array(
      z.strictObject({
        plan: z.string().min(1).max(32),
        isolation: z.enum(ISOLATIONS),
        from: time,
        until: time.nullable(),
      }),
    )
    .max(10_000)
    // A tenant that never was on a plan has no history: that is no reason to hold up the others'.
    .nullable()
    .transform((segments) => segments ?? [])
    .refine(
      (segments) =>
        segments.every((segment, i) => {
          const next = segments[i + 1]
          const until = segment.until === null ? Number.POSITIVE_INFINITY : Date.parse(segment.until)
          return Date.parse(segment.from) <= until && (next === undefined || until <= Date.parse(next.from))
        }),
      'must be in order, without overlap, and only the last may be open',
    ),
})
export type PlanHistory = z.output<typeof planHistorySchema>

/** A stretch of a month on one plan, to be filled with its usage. */
export type MonthSegment = { plan: string; isolation: Isolation; fromSecond: number; untilSecond: number }

/** The stretches of `month`, in seconds from its start. An open stretch runs to the month's end. Empty ones are left out. */
export function segmentsOfMonth(history: PlanHistory, month: Month): MonthSegment[] {
  const second = (ms: number) =>
    Math.floor((Math.min(Math.max(ms, month.startMs), month.endMs) - month.startMs) / 1_000)
  return history.segments
    .map(({ plan, isolation, from, until }) => ({
      plan,
      isolation,
      fromSecond: second(Date.parse(from)),
      untilSecond: second(until === null ? month.endMs : Date.parse(until)),
    }))
    .filter((segment) => segment.untilSecond > segment.fromSecond)
}

/** A plan in a tenant's history that the catalogue does not have: nothing can be billed until it has. */
export class UnknownPlanError extends Error {
  constructor(plan: string) {
    super(`The plan catalogue has no plan "${plan}"`)
    this.name = 'UnknownPlanError'
  }
}

/** Puts the catalogue's plans in place of their names. @throws UnknownPlanError. */
export function withPlans(segments: readonly MonthSegment[], catalogue: PlanCatalogue): Omit<RatedSegment, 'usage'>[] {
  return segments.map((segment) => {
    const plan = catalogue.find(segment.plan)
    if (plan === undefined) throw new UnknownPlanError(segment.plan)
    return { ...segment, plan }
  })
}
