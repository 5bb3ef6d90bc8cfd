// From a trickle to far past capacity and back: what is too much is shed, and five seconds later all is as before.
import { check } from 'k6'
import { anyRequest, anyTenant, checkOwn, classify, isOwn, number, PERCENTILES } from './shared.js'

export { handleSummary } from './shared.js'

const calmRate = number('CALM_RATE', 50)
const peakRate = number('PEAK_RATE', 10_000)
const spikeSeconds = number('SPIKE_SECONDS', 10)
const calmSeconds = number('CALM_SECONDS', 10)
const recoverySeconds = 5

export const options = {
  scenarios: {
    calm: phase('calm', calmRate, calmSeconds, 0, 50),
    spike: phase('spike', peakRate, spikeSeconds, calmSeconds, 1_000),
    after: phase('after', calmRate, calmSeconds, calmSeconds + spikeSeconds + recoverySeconds, 50),
  },
  thresholds: {
    leaks: ['count==0'],
    'checks{phase:after}': ['rate==1'],
    'http_req_duration{phase:calm}': ['p(95)>=0'],
    'http_req_duration{phase:spike}': ['p(95)>=0'],
    'http_req_duration{phase:after}': ['p(95)>=0'],
  },
  summaryTrendStats: PERCENTILES,
}

function phase(name, rate, seconds, startTime, maxVUs) {
  return {
    executor: 'constant-arrival-rate',
    exec: name === 'spike' ? 'spike' : 'calm',
    rate,
    duration: `${seconds}s`,
    startTime: `${startTime}s`,
    preAllocatedVUs: Math.min(maxVUs, 200),
    maxVUs,
    gracefulStop: '2s',
    tags: { phase: name },
  }
}

export function spike() {
  const tenant = anyTenant()
  const response = anyRequest(tenant)
  classify(response)
  check(response, {
    'is served, or shed with Retry-After': (r) =>
      (r.status < 300 && r.status >= 200 && isOwn(r, tenant)) ||
      ((r.status === 503 || r.status === 429) && r.headers['Retry-After'] !== undefined),
  })
}

export function calm() {
  const tenant = anyTenant()
  checkOwn(anyRequest(tenant), tenant)
}
