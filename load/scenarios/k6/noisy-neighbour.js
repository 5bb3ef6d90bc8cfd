// Quiet tenants at a low rate throughout; in the second half one tenant sends twenty times its share.
import { anyRequest, checkOwn, classify, number, PERCENTILES, readNotes, tenants } from './shared.js'

export { handleSummary } from './shared.js'

const half = number('SECONDS', 20)
const quietTenants = tenants.length - 1
const phase = (name, startTime) => ({
  executor: 'constant-arrival-rate',
  exec: 'quiet',
  rate: number('QUIET_RATE', 200),
  duration: `${half}s`,
  startTime: `${startTime}s`,
  preAllocatedVUs: 20,
  maxVUs: 100,
  tags: { phase: name },
})

export const options = {
  scenarios: {
    before: phase('before', 0),
    during: phase('during', half),
    noise: {
      executor: 'constant-arrival-rate',
      exec: 'noise',
      rate: number('NOISE_RATE', 2_000),
      duration: `${half}s`,
      startTime: `${half}s`,
      preAllocatedVUs: 50,
      maxVUs: 200,
      tags: { phase: 'noise' },
    },
  },
  thresholds: {
    leaks: ['count==0'],
    // Named here so that the summary holds them for each phase.
    'http_req_duration{phase:before}': ['p(99)>=0'],
    'http_req_duration{phase:during}': ['p(99)>=0'],
    'http_req_duration{phase:noise}': ['p(99)>=0'],
  },
  summaryTrendStats: PERCENTILES,
}

export function quiet() {
  const tenant = tenants[Math.floor(Math.random() * quietTenants)]
  checkOwn(anyRequest(tenant), tenant)
}

export function noise() {
  classify(readNotes(tenants[quietTenants]))
}
