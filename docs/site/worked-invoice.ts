import { formatMoney } from '../../client/format.ts'
import { METERS } from '../../metering/meters.ts'
import { minorUnitMicros, type RatedLine, rateMonth } from '../../metering/rating.ts'
import { readablePer, readableQuantity } from '../../metering/readable-quantity.ts'
import { loadPlanCatalogue } from '../../tenancy/plan.ts'

const DAY = 86_400
const GB = 1_000_000_000n
const hours = (bytes: bigint, days: bigint) => bytes * days * 24n * METERS.storage_byte_hours.fineUnits

/**
 * The invoice that `docs/pricing.md` explains, reckoned by the platform's own rating: a month of 30 days on the plan `pro`, with a
 * move from `schema` to `database` on the 16th at noon.
 */
export function workedInvoice(): string {
  const catalogue = loadPlanCatalogue()
  const plan = catalogue.find('pro')
  if (plan === undefined) throw new Error('The catalogue that ships has no plan `pro`')
  const { lines, total_micros } = rateMonth(
    [
      {
        plan,
        isolation: 'schema',
        fromSecond: 0,
        untilSecond: 15.5 * DAY,
        usage: {
          api_requests: 410_233n,
          egress_bytes: 31n * GB,
          storage_byte_hours: hours(12n * GB, 15n),
          file_storage_byte_hours: hours(40n * GB, 15n),
          realtime_messages: 2_100_000n,
        },
      },
      {
        plan,
        isolation: 'database',
        fromSecond: 15.5 * DAY,
        untilSecond: 30 * DAY,
        usage: {
          api_requests: 402_112n,
          egress_bytes: 33n * GB,
          storage_byte_hours: hours(20n * GB, 15n),
          file_storage_byte_hours: hours(60n * GB, 15n),
          realtime_messages: 1_900_000n,
          compute_seconds: 190n * 3_600n * METERS.compute_seconds.fineUnits,
        },
      },
    ],
    30 * DAY,
    minorUnitMicros(catalogue.currency),
  )
  const money = (micros: number) => formatMoney(micros, catalogue.currency)
  const price = (micros: number) =>
    new Intl.NumberFormat('en', {
      style: 'currency',
      currency: catalogue.currency,
      maximumFractionDigits: 6,
    }).format(micros / 1_000_000)
  const row = (line: RatedLine) =>
    `| ${[
      line.description,
      line.kind === 'meter' ? readableQuantity(line.quantity, line.unit) : `${line.quantity / DAY} days`,
      line.included === undefined ? '' : readableQuantity(line.included, line.unit),
      line.billed_units === undefined ? '' : `${line.billed_units} × ${readablePer(line.per ?? 1, line.unit)}`,
      price(line.unit_price_micros),
      money(line.amount_micros),
    ].join(' | ')} |`
  return [
    '| line | quantity | included | billed | price | amount |',
    '|---|---:|---:|---:|---:|---:|',
    ...lines.map(row),
    `| **Total before taxes** | | | | | **${money(total_micros)}** |`,
  ].join('\n')
}
