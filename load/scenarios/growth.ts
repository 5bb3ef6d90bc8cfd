import { randomBytes } from 'node:crypto'
import { mapBounded } from '../bounded.ts'
import type { Scenario } from '../scenario.ts'
import { percentile } from '../statistics.ts'

const TENANTS = 10_000
const CREATED_AT_ONCE = 4
/** The first and the last so many are compared, without the very first, which warm the platform up. */
const COMPARED = 500
const WARM_UP = 50
/** The last may take so much longer than the first. */
const SLOWER = 1.5

/** Ten thousand schema tenants on one server: what a create costs must not grow with those that are there. */
export const growth: Scenario = {
  name: 'growth',
  title: '10 000 schema tenants made on one server: the last as fast as the first',
  run: async ({ client, options, onProgress }) => {
    const count = options.tenants ?? TENANTS
    const run = randomBytes(3).toString('hex')
    const startedMs = performance.now()
    let made = 0
    const took = await mapBounded(
      Array.from({ length: count }, (_, i) => i),
      CREATED_AT_ONCE,
      async (i) => {
        const askedMs = performance.now()
        const tenant = await client.createTenant(`growth-${run}-${i}`, { plan: 'enterprise' })
        await client.demand(tenant.name, '/rest/v1/', { key: tenant.keys.service })
        if (++made % 1_000 === 0) onProgress(`${made} of ${count} tenants made`)
        return performance.now() - askedMs
      },
    )
    const seconds = (performance.now() - startedMs) / 1_000
    const first = took.slice(WARM_UP, WARM_UP + COMPARED)
    const last = took.slice(-COMPARED)
    const ratio = percentile(last, 0.5) / percentile(first, 0.5)
    const tell = (values: readonly number[]) =>
      `p50 ${percentile(values, 0.5).toFixed(0)} ms, p95 ${percentile(values, 0.95).toFixed(0)} ms`
    return {
      verdicts: [
        {
          promise: `the last ${COMPARED} take at most ${SLOWER} times as long as the first (p50)`,
          measured: ratio.toFixed(2),
          held: ratio <= SLOWER,
        },
        {
          promise: 'no call fails while the tenants are made',
          measured: `${client.repeatedCalls} repeated`,
          held: client.repeatedCalls === 0,
        },
      ],
      figures: [
        ['tenants', `${count} in ${seconds.toFixed(0)} s, ${CREATED_AT_ONCE} at once: create to first answer`],
        [`first ${COMPARED}`, tell(first)],
        [`last ${COMPARED}`, tell(last)],
      ],
    }
  },
}
