import type { Isolation, MeterPrice, Plan } from '../tenancy/plan.ts'
import { addQuantities, isMeter, METERS, type Meter, type Quantities } from './meters.ts'

/**
 * A stretch of the month on one plan: seconds from the month's start, half-open, with the usage that fell into it. Stretches do
 * not overlap; seconds that none covers are not billed.
 */
export type RatedSegment = {
  plan: Plan
  isolation: Isolation
  fromSecond: number
  untilSecond: number
  usage: Quantities
}

export type RatedLine = {
  kind: 'base_fee' | 'isolation_surcharge' | 'meter' | 'minimum'
  plan: string
  description: string
  /** `meter` lines: which. */
  meter?: Meter
  /** Fees: seconds billed. Meters: units used, of which `included` are free; `billed_units` counts started `per` units. */
  quantity: number
  unit: string
  included?: number
  per?: number
  billed_units?: number
  /** The price of one (month, or `per` units in the first tier). */
  unit_price_micros: number
  /** Before rounding to the currency's minor unit. */
  exact_micros: number
  amount_micros: number
}

export type Rating = { lines: RatedLine[]; total_micros: number }

/**
 * What a month costs. Pure, in integers. The rules:
 * - Fees and included amounts are prorated by the second: the part up to a second is `floor(whole × seconds / month)`, and a
 *   stretch gets the difference of its two ends, so stretches always add up to the whole.
 * - All stretches of the month on one plan are added up before anything is priced: splitting a stretch changes nothing at all.
 * - A meter is priced by started `per` units above what is included; tiers are graduated.
 * - A plan's minimum is prorated like its fee and compared with the rounded sum of the plan's lines.
 * - Every line is rounded to the currency's minor unit, half up; the total is the sum of the lines. So no line is off by more
 *   than half a minor unit, and there is no other rounding.
 */
export function rateMonth(segments: readonly RatedSegment[], monthSeconds: number, minorUnitMicros: number): Rating {
  const lines: RatedLine[] = []
  for (const stretches of byPlan(segments)) {
    const own: RatedLine[] = []
    const push = (line: Omit<RatedLine, 'amount_micros'>) =>
      own.push({ ...line, amount_micros: roundHalfUp(line.exact_micros, minorUnitMicros) })
    const [first] = stretches
    if (first === undefined) continue
    const { plan } = first
    const share = (whole: number) =>
      stretches.reduce((sum, stretch) => sum + prorate(whole, stretch.fromSecond, stretch.untilSecond, monthSeconds), 0)
    const seconds = (of: readonly RatedSegment[]) => of.reduce((sum, s) => sum + s.untilSecond - s.fromSecond, 0)
    if (plan.base_fee_micros > 0)
      push({
        kind: 'base_fee',
        plan: plan.id,
        description: `${plan.title} plan`,
        quantity: seconds(stretches),
        unit: 'seconds',
        unit_price_micros: plan.base_fee_micros,
        exact_micros: share(plan.base_fee_micros),
      })
    for (const [isolation, on] of Map.groupBy(stretches, (stretch) => stretch.isolation)) {
      const surcharge = plan.isolation_surcharge_micros[isolation] ?? 0
      if (surcharge === 0) continue
      push({
        kind: 'isolation_surcharge',
        plan: plan.id,
        description: `${plan.title} plan, ${isolation} isolation`,
        quantity: seconds(on),
        unit: 'seconds',
        unit_price_micros: surcharge,
        exact_micros: on.reduce((sum, s) => sum + prorate(surcharge, s.fromSecond, s.untilSecond, monthSeconds), 0),
      })
    }
    const usage = stretches.reduce<Quantities>((sum, stretch) => addQuantities(sum, stretch.usage), {})
    for (const [name, price] of Object.entries(plan.meters)) {
      if (!isMeter(name)) continue
      const line = rateMeter(plan, name, price, usage[name] ?? 0n, share(price.included))
      if (line.quantity > 0) push(line)
    }
    const minimum = share(plan.minimum_micros ?? 0)
    const sum = own.reduce((total, line) => total + line.amount_micros, 0)
    if (minimum > sum)
      push({
        kind: 'minimum',
        plan: plan.id,
        description: `${plan.title} plan, up to the minimum of the month`,
        quantity: seconds(stretches),
        unit: 'seconds',
        unit_price_micros: plan.minimum_micros ?? 0,
        exact_micros: minimum - sum,
      })
    lines.push(...own)
  }
  return { lines, total_micros: lines.reduce((sum, line) => sum + line.amount_micros, 0) }
}

function rateMeter(
  plan: Plan,
  meter: Meter,
  price: MeterPrice,
  fineQuantity: bigint,
  included: number,
): Omit<RatedLine, 'amount_micros'> {
  const quantity = Number(fineQuantity / METERS[meter].fineUnits)
  const billable = Math.max(0, quantity - included)
  const { units, micros } = priceUnits(price, billable)
  return {
    kind: 'meter',
    plan: plan.id,
    meter,
    description: METERS[meter].title,
    quantity,
    unit: METERS[meter].unit,
    included,
    per: price.per,
    billed_units: units,
    unit_price_micros: price.price_micros,
    exact_micros: micros,
  }
}

/** Graduated: each started `per` units cost the price of the tier in which they start. */
export function priceUnits(price: MeterPrice, billable: number): { units: number; micros: number } {
  const units = Math.ceil(billable / price.per)
  const tiers = [{ above: 0, price_micros: price.price_micros }, ...(price.tiers ?? [])]
  let micros = 0
  for (const [i, tier] of tiers.entries()) {
    const from = Math.ceil(tier.above / price.per)
    const until = Math.ceil((tiers[i + 1]?.above ?? Number.POSITIVE_INFINITY) / price.per)
    micros += Math.max(0, Math.min(units, until) - from) * tier.price_micros
  }
  return { units, micros }
}

/** The part of `whole` that belongs to [`from`, `until`): parts that follow each other add up exactly. */
export function prorate(whole: number, from: number, until: number, of: number): number {
  const upTo = (second: number) => (BigInt(whole) * BigInt(second)) / BigInt(of)
  return Number(upTo(until) - upTo(from))
}

/** Rounds a sum of micro-units to whole minor units of the currency; a half goes up. */
export function roundHalfUp(micros: number, minorUnitMicros: number): number {
  return Math.floor((micros + minorUnitMicros / 2) / minorUnitMicros) * minorUnitMicros
}

/** Micro-units in the smallest unit of a currency that is paid in: 10 000 for cents, 1 000 000 for yen. */
export function minorUnitMicros(currency: string): number {
  const digits = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits
  return 10 ** Math.max(0, 6 - (digits ?? 2))
}

function byPlan(segments: readonly RatedSegment[]): RatedSegment[][] {
  const sorted = [...segments].sort((a, b) => a.fromSecond - b.fromSecond)
  return [...Map.groupBy(sorted, (segment) => segment.plan.id).values()]
}
