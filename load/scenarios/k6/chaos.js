// A constant rate while processes are killed: failures are expected, wrong answers are not. Each tenant's admitted
// answers are counted, so that the bill can be compared with what its clients saw.
import { Counter } from 'k6/metrics'
import { anyRequest, isOwn, number, PERCENTILES, tenants } from './shared.js'

export { handleSummary } from './shared.js'

/** Answers that are billed, by tenant; and requests that ended without an answer, which may be billed or not. */
const answered = new Counter('answered')
const unanswered = new Counter('unanswered')
const failed = new Counter('failed')
const thresholds = { leaks: ['count==0'] }
for (let i = 0; i < tenants.length; i++) {
  thresholds[`answered{tenant:${i}}`] = ['count>=0']
  thresholds[`unanswered{tenant:${i}}`] = ['count>=0']
}

for (const status of [0, 500, 502, 503, 504]) thresholds[`failed{status:${status}}`] = ['count>=0']

export const options = {
  scenarios: {
    chaos: {
      executor: 'constant-arrival-rate',
      rate: number('RATE', 200),
      duration: `${number('SECONDS', 60)}s`,
      preAllocatedVUs: 50,
      maxVUs: 400,
    },
  },
  thresholds,
  summaryTrendStats: PERCENTILES,
}

export default function () {
  const index = Math.floor(Math.random() * tenants.length)
  const tenant = tenants[index]
  const tags = { tenant: String(index) }
  const response = anyRequest(tenant)
  // Without an answer, or with a 5xx while something is away, it may have been counted or not.
  if (response.status === 0 || response.status >= 500) {
    unanswered.add(1, tags)
    failed.add(1, { status: String(response.status) })
  } else if (response.status < 400) {
    answered.add(1, tags)
    isOwn(response, tenant)
  }
}
