import { countOf, rateOf, trendOf } from '../k6.ts'
import { createLoadTenants, purgeLoadTenants } from '../load-tenants.ts'
import type { Scenario } from '../scenario.ts'

const TENANTS = 20
const PEAK_RATE = 10_000
const RECOVERED_P95_MS = 100

/** Ten seconds of load far past capacity: no time-outs and no wrong answers, and five seconds later all is as before. */
export const spike: Scenario = {
  name: 'spike',
  title: 'far past capacity for ten seconds: sheds with Retry-After, and has recovered five seconds later',
  async run({ client, options, runK6, onProgress }) {
    const tenants = await createLoadTenants(client, TENANTS, {
      prefix: 'spike',
      members: { plan: 'enterprise' },
    })
    const peak = options.rate ?? PEAK_RATE
    const seconds = options.durationSeconds ?? 10
    onProgress(`${seconds} s at ${peak} req/s`)
    const summary = await runK6('spike.js', { tenants }, { PEAK_RATE: peak, SPIKE_SECONDS: seconds, CALM_SECONDS: 10 })
    await purgeLoadTenants(client, tenants)
    const calm = trendOf(summary, 'http_req_duration{phase:calm}')
    const during = trendOf(summary, 'http_req_duration{phase:spike}')
    const after = trendOf(summary, 'http_req_duration{phase:after}')
    const recovered = rateOf(summary, 'checks{phase:after}')
    const broken = countOf(summary, 'broken')
    return {
      verdicts: [
        {
          promise: 'in the spike each answer is served, or shed with 503 or 429 and Retry-After',
          measured: `${broken} others`,
          held: broken === 0,
        },
        {
          promise: `5 s after it everything is served, p95 under ${RECOVERED_P95_MS} ms`,
          measured: `${(recovered * 100).toFixed(2)}% good, ${after['p(95)'].toFixed(2)} ms`,
          held: recovered === 1 && after['p(95)'] < RECOVERED_P95_MS,
        },
        {
          promise: 'no answer holds a row of another tenant',
          measured: String(countOf(summary, 'leaks')),
          held: countOf(summary, 'leaks') === 0,
        },
      ],
      figures: [
        ['served', String(countOf(summary, 'admitted'))],
        ['shed with 503', String(countOf(summary, 'shed'))],
        ['refused with 429', String(countOf(summary, 'refused'))],
        ['not sent, because every client of k6 was waiting', String(countOf(summary, 'dropped_iterations'))],
        ['p50, p95 before', `${calm.med.toFixed(2)}, ${calm['p(95)'].toFixed(2)} ms`],
        ['p50, p95 in the spike', `${during.med.toFixed(2)}, ${during['p(95)'].toFixed(2)} ms`],
        ['p50, p95 after', `${after.med.toFixed(2)}, ${after['p(95)'].toFixed(2)} ms`],
      ],
    }
  },
}
