// A constant rate of requests (open loop) spread over all tenants, every answer checked for its tenant's canary. Before it a
// warm-up to that rate, measured apart: tenants that nobody has asked for since they were made are read from Redis, get their
// leases and have their catalogue loaded, all at once.
import { anyRequest, anyTenant, checkOwn, number, PERCENTILES } from './shared.js'

export { handleSummary } from './shared.js'

const rate = number('RATE', 50)
const warmUp = number('WARM_UP_SECONDS', 15)
const vus = { preAllocatedVUs: 50, maxVUs: 400 }

export const options = {
  scenarios: {
    warm_up: {
      executor: 'ramping-arrival-rate',
      startRate: Math.ceil(rate / 20),
      stages: [{ target: rate, duration: `${warmUp}s` }],
      ...vus,
    },
    mixed: {
      executor: 'constant-arrival-rate',
      startTime: `${warmUp}s`,
      rate,
      duration: `${number('SECONDS', 30)}s`,
      ...vus,
    },
  },
  systemTags: ['status', 'error', 'scenario'],
  thresholds: {
    checks: ['rate==1'],
    leaks: ['count==0'],
    'http_reqs{scenario:mixed}': ['count>0'],
    'http_req_duration{scenario:warm_up}': ['max>=0'],
    'http_req_duration{scenario:mixed}': [`p(95)<${number('P95_MS', 100)}`],
  },
  summaryTrendStats: PERCENTILES,
}

export default function () {
  const tenant = anyTenant()
  checkOwn(anyRequest(tenant), tenant)
}
