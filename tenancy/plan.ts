import { readFileSync } from 'node:fs'
import { z } from 'zod'

/** The degrees of isolation, from the cheapest to the strongest. */
export const ISOLATIONS = ['schema', 'database', 'cluster'] as const
export type Isolation = (typeof ISOLATIONS)[number]

const limit = z.number().int().nonnegative().nullable()

/** What a tenant may use; `null` is unlimited. Bytes are decimal (1 MB = 10^6). */
export const quotasSchema = z.strictObject({
  storage_bytes: limit,
  api_requests_per_month: limit,
  file_storage_bytes: limit,
  realtime_connections: limit,
  requests_per_second: z.number().int().positive().nullable(),
})
export type Quotas = z.output<typeof quotasSchema>
export const QUOTA_NAMES = Object.keys(quotasSchema.shape) as readonly (keyof Quotas)[]

/**
 * Price of one meter: `included` units are free of charge, then each started `per` units cost `price_micros`; what lies
 * `above` so many units beyond the included ones costs the price of its tier instead (graduated).
 */
const meterPriceSchema = z.strictObject({
  included: z.number().int().nonnegative(),
  per: z.number().int().positive(),
  price_micros: z.number().int().nonnegative(),
  tiers: z
    .array(z.strictObject({ above: z.number().int().positive(), price_micros: z.number().int().nonnegative() }))
    .refine((tiers) => tiers.every((tier, i) => i === 0 || tier.above > (tiers[i - 1]?.above ?? 0)), 'must ascend')
    .optional(),
})
export type MeterPrice = z.output<typeof meterPriceSchema>

const planSchema = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/),
  title: z.string().min(1),
  quotas: quotasSchema,
  isolations: z.array(z.enum(ISOLATIONS)).min(1),
  /** Memory that a server of the tenant's own may use (of a cluster: each node), by isolation; small where nothing is said. */
  server_memory_bytes: z.partialRecord(z.enum(ISOLATIONS), z.number().int().min(33_554_432)).optional(),
  /** Days for which a deleted tenant's data is kept. */
  retention_days: z.number().int().nonnegative(),
  /**
   * Promised uptime as a fraction, or `null` for best effort; the downtime allowed in a month where that is what is promised
   * (else it follows from the fraction); and what is given back of the month's fees once the uptime is `below` a step.
   */
  sla: z.strictObject({
    uptime: z.number().min(0).max(1).nullable(),
    downtime_seconds_per_month: limit,
    credits: z
      .array(z.strictObject({ below: z.number().min(0).max(1), percent: z.number().min(0).max(100) }))
      .max(10)
      .optional(),
  }),
  base_fee_micros: z.number().int().nonnegative(),
  isolation_surcharge_micros: z.partialRecord(z.enum(ISOLATIONS), z.number().int().nonnegative()),
  /** What a month costs at least; fees and usage count towards it. */
  minimum_micros: z.number().int().nonnegative().optional(),
  meters: z.record(z.string(), meterPriceSchema),
})
export type Plan = z.output<typeof planSchema>

const catalogueSchema = z
  .strictObject({
    currency: z.string().regex(/^[A-Z]{3}$/),
    default_plan: z.string(),
    plans: z.array(planSchema).min(1),
  })
  .refine((c) => c.plans.some((plan) => plan.id === c.default_plan), 'default_plan must name one of the plans')
  .refine((c) => new Set(c.plans.map((plan) => plan.id)).size === c.plans.length, 'plan ids must be unique')

/** The plans that this platform sells, with their prices in millionths of the currency unit. */
export class PlanCatalogue {
  readonly currency: string
  readonly plans: readonly Plan[]
  readonly defaultPlan: Plan
  readonly #byId: ReadonlyMap<string, Plan>

  /** @throws ZodError when `document` is not a catalogue. */
  constructor(document: unknown) {
    const catalogue = catalogueSchema.parse(document)
    this.currency = catalogue.currency
    this.plans = catalogue.plans
    this.#byId = new Map(catalogue.plans.map((plan) => [plan.id, plan]))
    const defaultPlan = this.#byId.get(catalogue.default_plan)
    if (defaultPlan === undefined) throw new Error('unreachable')
    this.defaultPlan = defaultPlan
  }

  find(id: string): Plan | undefined {
    return this.#byId.get(id)
  }
}

/** Reads the catalogue from `path`, or the one that ships (`tenancy/plans.json`). */
export function loadPlanCatalogue(path: string | URL = new URL('./plans.json', import.meta.url)): PlanCatalogue {
  return new PlanCatalogue(JSON.parse(readFileSync(path, 'utf8')))
}

/** The quotas in force: the plan's, each replaced by the tenant's own where there is one. */
export function effectiveQuotas(plan: Plan, overrides: Partial<Quotas>): Quotas {
  return { ...plan.quotas, ...overrides }
}
