// Many clients at once against one tenant whose quota is far smaller than what they send.
import { check } from 'k6'
import { classify, number, PERCENTILES, readNotes, tenants } from './shared.js'

export { handleSummary } from './shared.js'

export const options = {
  scenarios: {
    storm: {
      executor: 'shared-iterations',
      vus: number('CLIENTS', 500),
      iterations: number('REQUESTS', 10_000),
      maxDuration: '300s',
    },
  },
  thresholds: { checks: ['rate==1'] },
  summaryTrendStats: PERCENTILES,
}

export default function () {
  const response = readNotes(tenants[0])
  classify(response)
  check(response, {
    'is admitted, or refused by the quota': (r) =>
      r.status === 200 || (r.status === 429 && r.json('code') === 'quota_exceeded'),
  })
}
