import { z } from 'zod'
import { ISOLATIONS, type PlanCatalogue } from '../tenancy/plan.ts'
import { formatAmount } from './invoice-document.ts'
import { METERS, type Quantities } from './meters.ts'
import { minorUnitMicros, rateMonth } from './rating.ts'

/** Hours of the month that prices of stored bytes are made for. */
const MONTH_HOURS = 730

const amount = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER).default(0)

/** What a month is expected to use. Storage and connections are averages over the month. */
export const estimateSchema = z.strictObject({
  usage: z
    .strictObject({
      api_requests: amount,
      egress_bytes: amount,
      ingress_bytes: amount,
      storage_bytes: amount,
      file_storage_bytes: amount,
      realtime_messages: amount,
      realtime_connections: amount,
      /** Running time of the tenant's own servers; a server that never sleeps unless said. */
      compute_seconds: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER).optional(),
    })
    .partial()
    .default({}),
  isolation: z.enum(ISOLATIONS).default('schema'),
})
export type EstimateRequest = z.output<typeof estimateSchema>

/** What that usage costs for a whole month on each plan, and what of it the plan would not let through. */
export function estimate(request: EstimateRequest, catalogue: PlanCatalogue) {
  const { usage, isolation } = request
  const held = (average: number | undefined, meter: keyof typeof METERS) =>
    BigInt(average ?? 0) * BigInt(MONTH_HOURS) * METERS[meter].fineUnits
  const quantities: Quantities = {
    api_requests: BigInt(usage.api_requests ?? 0),
    egress_bytes: BigInt(usage.egress_bytes ?? 0),
    ingress_bytes: BigInt(usage.ingress_bytes ?? 0),
    realtime_messages: BigInt(usage.realtime_messages ?? 0),
    storage_byte_hours: held(usage.storage_bytes, 'storage_byte_hours'),
    file_storage_byte_hours: held(usage.file_storage_bytes, 'file_storage_byte_hours'),
    realtime_connection_hours: held(usage.realtime_connections, 'realtime_connection_hours'),
    compute_seconds:
      isolation === 'schema'
        ? 0n
        : BigInt(usage.compute_seconds ?? MONTH_HOURS * 3_600) * METERS.compute_seconds.fineUnits,
  }
  const { currency } = catalogue
  return {
    currency,
    isolation,
    data: catalogue.plans.map((plan) => {
      const seconds = MONTH_HOURS * 3_600
      const segment = { plan, isolation, fromSecond: 0, untilSecond: seconds, usage: quantities }
      const { lines, total_micros } = rateMonth([segment], seconds, minorUnitMicros(currency))
      const exceeds = (
        [
          ['storage_bytes', usage.storage_bytes, plan.quotas.storage_bytes],
          ['api_requests_per_month', usage.api_requests, plan.quotas.api_requests_per_month],
          ['file_storage_bytes', usage.file_storage_bytes, plan.quotas.file_storage_bytes],
          ['realtime_connections', usage.realtime_connections, plan.quotas.realtime_connections],
        ] as const
      ).flatMap(([quota, wanted, limit]) => (limit !== null && (wanted ?? 0) > limit ? [quota] : []))
      return {
        plan: plan.id,
        title: plan.title,
        offers_isolation: plan.isolations.includes(isolation),
        exceeded_quotas: exceeds,
        lines,
        total_micros,
        total: formatAmount(total_micros, currency),
      }
    }),
  }
}
