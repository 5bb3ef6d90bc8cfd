import { countOf, rateOf, trendOf } from '../k6.ts'
import { createLoadTenants, purgeLoadTenants } from '../load-tenants.ts'
import type { Scenario } from '../scenario.ts'

const QUIET_TENANTS = 10
const QUIET_RATE = 200
/** What one tenant may send, and how many times that the noisy one does send. */
const SHARE = 100
const TIMES = 20
/** How far the quiet tenants' p99 may move. */
const TOLERANCE = 0.2

/** One tenant at twenty times its share, beside quiet ones: they should hardly notice. */
export const noisyNeighbour: Scenario = {
  name: 'noisy-neighbour',
  title: `one tenant sends ${TIMES} times its share; the p99 of the others moves by less than ${TOLERANCE * 100}%`,
  async run({ client, options, runK6, onProgress }) {
    const tenants = await createLoadTenants(client, QUIET_TENANTS + 1, { prefix: 'noisy' })
    const noisy = tenants[QUIET_TENANTS]
    if (noisy === undefined) throw new Error('unreachable')
    await client.control(`/v1/tenants/${noisy.id}`, {
      method: 'PATCH',
      body: { quotas: { requests_per_second: SHARE } },
    })
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    const seconds = options.durationSeconds ?? 20
    onProgress(`${seconds} s in quiet, then ${seconds} s beside ${SHARE * TIMES} req/s of one tenant`)
    const env = { SECONDS: seconds, QUIET_RATE, NOISE_RATE: SHARE * TIMES }
    const summary = await runK6('noisy-neighbour.js', { tenants }, env)
    await purgeLoadTenants(client, tenants)
    const before = trendOf(summary, 'http_req_duration{phase:before}')
    const during = trendOf(summary, 'http_req_duration{phase:during}')
    const noise = trendOf(summary, 'http_req_duration{phase:noise}')
    const moved = during['p(99)'] / before['p(99)'] - 1
    const good = rateOf(summary, 'checks')
    return {
      verdicts: [
        {
          promise: `the p99 of the others moves by less than ${TOLERANCE * 100}%`,
          measured: `${(moved * 100).toFixed(0)}%`,
          held: moved < TOLERANCE,
        },
        {
          promise: 'no request of the others fails',
          measured: `${(good * 100).toFixed(3)}% of the checks`,
          held: good === 1,
        },
        {
          promise: 'no answer holds a row of another tenant',
          measured: String(countOf(summary, 'leaks')),
          held: countOf(summary, 'leaks') === 0,
        },
      ],
      figures: [
        ['others alone: p50, p99', `${before.med.toFixed(2)}, ${before['p(99)'].toFixed(2)} ms`],
        ['others beside the noise: p50, p99', `${during.med.toFixed(2)}, ${during['p(99)'].toFixed(2)} ms`],
        ['the noisy one: p50, p99', `${noise.med.toFixed(2)}, ${noise['p(99)'].toFixed(2)} ms`],
        ['refused with 429', String(countOf(summary, 'refused'))],
        ['shed with 503', String(countOf(summary, 'shed'))],
      ],
    }
  },
}
