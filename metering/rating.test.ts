import fc from 'fast-check'
import { expect, test } from 'vitest'
import { loadPlanCatalogue, type Plan } from '../tenancy/plan.ts'
import { METER_NAMES, METERS, type Quantities } from './meters.ts'
import { minorUnitMicros, priceUnits, prorate, type RatedSegment, rateMonth, roundHalfUp } from './rating.ts'

const CENT = 10_000
const MONTH = 30 * 86_400
const catalogue = loadPlanCatalogue()

function plan(id: string): Plan {
  const found = catalogue.find(id)
  if (found === undefined) throw new Error(`no plan ${id}`)
  return found
}

function whole(id: string, usage: Quantities, change: Partial<RatedSegment> = {}): RatedSegment {
  return { plan: plan(id), isolation: 'schema', fromSecond: 0, untilSecond: MONTH, usage, ...change }
}

const arbitraryPlan: fc.Arbitrary<Plan> = fc
  .record({
    id: fc.constantFrom('a', 'b', 'c'),
    base_fee_micros: fc.nat({ max: 1e9 }),
    surcharge: fc.nat({ max: 1e9 }),
    minimum_micros: fc.nat({ max: 2e9 }),
    included: fc.nat({ max: 1e6 }),
    per: fc.integer({ min: 1, max: 10_000 }),
    price_micros: fc.nat({ max: 1e6 }),
    above: fc.integer({ min: 1, max: 1e6 }),
    later_price: fc.nat({ max: 1e6 }),
  })
  .map(({ included, per, price_micros, above, later_price, surcharge, ...rest }) => ({
    ...plan('pro'),
    ...rest,
    isolation_surcharge_micros: { database: surcharge },
    meters: {
      api_requests: { included, per, price_micros, tiers: [{ above, price_micros: later_price }] },
      storage_byte_hours: { included, per, price_micros },
    },
  }))

/** A month cut into stretches on one or another of some plans. */
const arbitrarySegments = fc
  .record({
    cuts: fc.uniqueArray(fc.integer({ min: 1, max: MONTH - 1 }), { maxLength: 6 }),
    plans: fc.uniqueArray(arbitraryPlan, { minLength: 1, maxLength: 3, selector: (one) => one.id }),
    choices: fc.array(fc.tuple(fc.nat(), fc.constantFrom('schema' as const, 'database' as const)), {
      minLength: 7,
      maxLength: 7,
    }),
    usage: fc.array(
      fc.record({ api_requests: fc.bigInt(0n, 3_000_000n), storage_byte_hours: fc.bigInt(0n, 10n ** 13n) }),
      {
        minLength: 7,
        maxLength: 7,
      },
    ),
  })
  .map(({ cuts, plans, choices, usage }): RatedSegment[] => {
    const ends = [...cuts.sort((a, b) => a - b), MONTH]
    return ends.map((untilSecond, i) => {
      const [choice, isolation] = choices[i] ?? [0, 'schema']
      const chosen = plans[choice % plans.length]
      if (chosen === undefined) throw new Error('unreachable')
      return { plan: chosen, isolation, fromSecond: ends[i - 1] ?? 0, untilSecond, usage: usage[i] ?? {} }
    })
  })

test('the sum of the lines is the total, and every line is whole minor units, at most half of one off', () => {
  fc.assert(
    fc.property(arbitrarySegments, (segments) => {
      const { lines, total_micros } = rateMonth(segments, MONTH, CENT)
      expect(lines.reduce((sum, line) => sum + line.amount_micros, 0)).toBe(total_micros)
      for (const line of lines) {
        expect(line.amount_micros % CENT).toBe(0)
        expect(Math.abs(line.amount_micros - line.exact_micros)).toBeLessThanOrEqual(CENT / 2)
        expect(line.amount_micros).toBeGreaterThanOrEqual(0)
      }
    }),
  )
})

test('splitting a stretch anywhere, and its usage anyhow, changes nothing', () => {
  fc.assert(
    fc.property(arbitrarySegments, fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (segments, pick, part) => {
      const at = pick % segments.length
      const split = segments.flatMap((segment, i) => {
        const { fromSecond, untilSecond, usage } = segment
        if (i !== at || untilSecond - fromSecond < 2) return [segment]
        const middle = fromSecond + 1 + Math.floor(part * (untilSecond - fromSecond - 2))
        const first: Quantities = {}
        const second: Quantities = {}
        for (const meter of METER_NAMES) {
          const quantity = usage[meter] ?? 0n
          first[meter] = (quantity * BigInt(Math.floor(part * 1000))) / 1000n
          second[meter] = quantity - first[meter]
        }
        return [
          { ...segment, untilSecond: middle, usage: first },
          { ...segment, fromSecond: middle, usage: second },
        ]
      })
      expect(rateMonth(split, MONTH, CENT).total_micros).toBe(rateMonth(segments, MONTH, CENT).total_micros)
      const fees = (list: readonly RatedSegment[]) =>
        rateMonth(list, MONTH, CENT).lines.map((line) => [line.kind, line.meter, line.exact_micros, line.amount_micros])
      expect(fees(split)).toEqual(fees(segments))
    }),
  )
})

test('more usage never costs less', () => {
  fc.assert(
    fc.property(arbitrarySegments, fc.bigInt(0n, 1_000_000n), (segments, more) => {
      const [first, ...others] = segments
      if (first === undefined) return
      const grown = { ...first, usage: { ...first.usage, api_requests: (first.usage.api_requests ?? 0n) + more } }
      expect(rateMonth([grown, ...others], MONTH, CENT).total_micros).toBeGreaterThanOrEqual(
        rateMonth(segments, MONTH, CENT).total_micros,
      )
    }),
  )
})

test('prorated parts that follow each other add up to the whole', () => {
  fc.assert(
    fc.property(fc.nat(), fc.uniqueArray(fc.integer({ min: 0, max: MONTH })), (amount, cuts) => {
      const ends = [0, ...cuts.sort((a, b) => a - b), MONTH]
      const parts = ends.slice(1).map((end, i) => prorate(amount, ends[i] ?? 0, end, MONTH))
      expect(parts.reduce((sum, part) => sum + part, 0)).toBe(amount)
    }),
  )
})

test('what a month on a plan costs, by hand', () => {
  const usage = {
    api_requests: 500_001n,
    egress_bytes: 51_000_000_000n,
    storage_byte_hours: METERS.storage_byte_hours.fineUnits * 6_000_000_000_000n,
  }
  const { lines, total_micros } = rateMonth([whole('pro', usage)], MONTH, CENT)
  expect(
    lines.map((line) => [line.meter ?? line.kind, line.billed_units, line.exact_micros, line.amount_micros]),
  ).toEqual([
    ['base_fee', undefined, 25_000_000, 25_000_000],
    ['api_requests', 1, 2_000, 0],
    ['egress_bytes', 1, 90_000, 90_000],
    ['storage_byte_hours', 1, 125_000, 130_000],
  ])
  expect(total_micros).toBe(25_220_000)
})

test('half a month on pro and half on enterprise with a database of its own costs half of each', () => {
  const half = MONTH / 2
  const { lines, total_micros } = rateMonth(
    [whole('pro', {}, { untilSecond: half }), whole('enterprise', {}, { fromSecond: half, isolation: 'database' })],
    MONTH,
    CENT,
  )
  expect(lines.map((line) => [line.kind, line.amount_micros])).toEqual([
    ['base_fee', 12_500_000],
    ['base_fee', 299_500_000],
    ['isolation_surcharge', 7_500_000],
  ])
  expect(total_micros).toBe(319_500_000)
})

test('tiers are graduated and started units cost the price of the tier they start in', () => {
  const price = {
    included: 0,
    per: 1_000,
    price_micros: 10,
    tiers: [
      { above: 2_000, price_micros: 5 },
      { above: 4_000, price_micros: 1 },
    ],
  }
  expect(priceUnits(price, 0)).toEqual({ units: 0, micros: 0 })
  expect(priceUnits(price, 1)).toEqual({ units: 1, micros: 10 })
  expect(priceUnits(price, 2_001)).toEqual({ units: 3, micros: 25 })
  expect(priceUnits(price, 6_000)).toEqual({ units: 6, micros: 32 })
})

test('rounding goes to the minor unit of the currency, halves up', () => {
  expect(minorUnitMicros('USD')).toBe(10_000)
  expect(minorUnitMicros('JPY')).toBe(1_000_000)
  expect(minorUnitMicros('KWD')).toBe(1_000)
  expect([4_999, 5_000, 15_000].map((micros) => roundHalfUp(micros, CENT))).toEqual([0, 10_000, 20_000])
})
