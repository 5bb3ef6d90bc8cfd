// A constant rate of requests (open loop) spread over all tenants, every answer checked for its tenant's canary.
import { anyRequest, anyTenant, checkOwn, number, PERCENTILES } from './shared.js'

export { handleSummary } from './shared.js'

export const options = {
  scenarios: {
    mixed: {
      executor: 'constant-arrival-rate',
      rate: number('RATE', 50),
      duration: `${number('SECONDS', 30)}s`,
      preAllocatedVUs: 50,
      maxVUs: 400,
    },
  },
  thresholds: {
    checks: ['rate==1'],
    leaks: ['count==0'],
    http_req_duration: [`p(95)<${number('P95_MS', 100)}`],
  },
  summaryTrendStats: PERCENTILES,
}

export default function () {
  const tenant = anyTenant()
  checkOwn(anyRequest(tenant), tenant)
}
