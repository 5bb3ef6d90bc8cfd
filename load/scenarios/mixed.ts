import { countOf, type K6Summary, rateOf, trendOf } from '../k6.ts'
import { createLoadTenants, purgeLoadTenants } from '../load-tenants.ts'
import { sampleProcesses } from '../process-samples.ts'
import type { Scenario, Verdict } from '../scenario.ts'

type MixedOptions = {
  name: string
  title: string
  tenants: number
  isolation?: 'schema' | 'database'
  /** Requests a second and length, unless the command line says otherwise. */
  rate: number
  seconds: number
  p95LimitMs: number
  /** What we aim for; it is shown, and breaks nothing. */
  p95GoalMs?: number
}

/** What k6 counts apart: the constant rate, and the warm-up to it. */
const STEADY = '{scenario:mixed}'
const WARM_UP = '{scenario:warm_up}'

/** Mixed reads and writes at a constant rate over many tenants: fast enough, nothing failed, and nothing of another tenant. */
export function mixedScenario(mixed: MixedOptions): Scenario {
  return {
    name: mixed.name,
    title: mixed.title,
    async run({ client, platform, options, runK6, onProgress }) {
      const rate = options.rate ?? mixed.rate
      const seconds = options.durationSeconds ?? mixed.seconds
      const startedMs = performance.now()
      const tenants = await createLoadTenants(client, options.tenants ?? mixed.tenants, {
        prefix: mixed.name,
        members: { plan: 'enterprise', isolation: mixed.isolation ?? 'schema' },
        onProgress,
      })
      const createdInMs = performance.now() - startedMs
      onProgress(
        `${tenants.length} tenants made in ${(createdInMs / 1_000).toFixed(1)} s; ${rate} req/s for ${seconds} s`,
      )
      const samples = sampleProcesses(platform)
      const summary = await runK6('mixed.js', { tenants }, { RATE: rate, SECONDS: seconds, P95_MS: mixed.p95LimitMs })
      const memory = (await samples.stop()).map(({ name, largestRssBytes }): [string, string] => [
        `${name}: largest process`,
        `${Math.round(largestRssBytes / 1e6)} MB`,
      ])
      await purgeLoadTenants(client, tenants)
      const goal = mixed.p95GoalMs === undefined ? '' : ` (goal ${mixed.p95GoalMs} ms)`
      return {
        verdicts: [
          {
            promise: 'no call fails while the tenants are made',
            measured: `${client.repeatedCalls} repeated`,
            held: client.repeatedCalls === 0,
          },
          ...trafficVerdicts(summary, rate * seconds, STEADY),
          p95Verdict(summary, mixed.p95LimitMs, goal, STEADY),
        ],
        figures: [
          ['tenants', String(tenants.length)],
          ['made in', `${(createdInMs / 1_000).toFixed(1)} s`],
          ['rate asked', `${rate} req/s for ${seconds} s`],
          ...trafficFigures(summary, STEADY),
          ['p95 of the warm-up before it', `${trendOf(summary, `http_req_duration${WARM_UP}`)['p(95)'].toFixed(2)} ms`],
          ...memory,
        ],
      }
    },
  }
}

/** Nothing failed, nothing leaked, and the load was really sent: in the `part` of the script that asked for that many. */
export function trafficVerdicts(summary: K6Summary, wanted: number, part = ''): Verdict[] {
  const sent = countOf(summary, `http_reqs${part}`)
  const leaks = countOf(summary, 'leaks')
  const good = rateOf(summary, 'checks')
  return [
    {
      promise: 'no answer holds a row of another tenant',
      measured: `${leaks} of ${countOf(summary, 'http_reqs')}`,
      held: leaks === 0,
    },
    { promise: 'every answer is good', measured: `${(good * 100).toFixed(3)}% of the checks`, held: good === 1 },
    {
      promise: 'the load was sent as asked (98%)',
      measured: `${sent} of ${wanted}`,
      held: sent >= wanted * 0.98,
    },
  ]
}

export function p95Verdict(summary: K6Summary, limitMs: number, goal = '', part = ''): Verdict {
  const p95Ms = trendOf(summary, `http_req_duration${part}`)['p(95)']
  return { promise: `p95 under ${limitMs} ms${goal}`, measured: `${p95Ms.toFixed(2)} ms`, held: p95Ms < limitMs }
}

export function trafficFigures(summary: K6Summary, part = ''): [string, string][] {
  const trend = trendOf(summary, `http_req_duration${part}`)
  return [
    ['requests', String(countOf(summary, `http_reqs${part}`))],
    ['requests/s', rateOf(summary, `http_reqs${part}`).toFixed(0)],
    ['p50', `${trend.med.toFixed(2)} ms`],
    ['p95', `${trend['p(95)'].toFixed(2)} ms`],
    ['p99', `${trend['p(99)'].toFixed(2)} ms`],
    ['slowest', `${trend.max.toFixed(1)} ms`],
  ]
}
