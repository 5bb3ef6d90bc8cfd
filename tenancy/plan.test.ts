import { expect, test } from 'vitest'
import { effectiveQuotas, loadPlanCatalogue, PlanCatalogue } from './plan.ts'

const catalogue = loadPlanCatalogue()

test('the plans that ship are those of the contract', () => {
  const MB = 10 ** 6
  const GB = 10 ** 9
  const rows = catalogue.plans.map(({ id, quotas, isolations }) => [id, ...Object.values(quotas), isolations])
  expect(rows).toEqual([
    ['free', 500 * MB, 10_000, 1 * GB, 100, 20, ['schema']],
    ['pro', 100 * GB, 1_000_000, 100 * GB, 10_000, 200, ['schema', 'database']],
    ['enterprise', null, null, null, null, 2_000, ['schema', 'database', 'cluster']],
  ])
  expect(catalogue.defaultPlan.id).toBe('free')
})

test("a tenant's own quotas replace the plan's, also by unlimited", () => {
  const plan = catalogue.defaultPlan
  expect(effectiveQuotas(plan, { requests_per_second: 5, storage_bytes: null })).toEqual({
    ...plan.quotas,
    requests_per_second: 5,
    storage_bytes: null,
  })
})

test('a catalogue with an unknown member, a double id or no such default is refused', () => {
  const { plans } = catalogue
  expect(() => new PlanCatalogue({ currency: 'USD', default_plan: 'free', plans, extra: 1 })).toThrow()
  expect(() => new PlanCatalogue({ currency: 'USD', default_plan: 'free', plans: [...plans, plans[0]] })).toThrow()
  expect(() => new PlanCatalogue({ currency: 'USD', default_plan: 'none', plans })).toThrow()
})
