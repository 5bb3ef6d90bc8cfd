import { countOf, trendOf } from '../k6.ts'
import { createLoadTenants, purgeLoadTenants } from '../load-tenants.ts'
import { sampleProcesses } from '../process-samples.ts'
import type { Scenario } from '../scenario.ts'

const TENANTS = 10
const SOCKETS = 10_000
const SECONDS = 20
const BROADCASTS_PER_SECOND = 2
const DELIVERY_LIMIT_MS = 200

/** Ten thousand sockets over ten tenants, and broadcasts that reach each subscriber of their tenant and nobody else. */
export const realtime: Scenario = {
  name: 'realtime',
  title: `${SOCKETS} sockets (--rate n for another number), broadcasts to a thousand subscribers each`,
  async run({ client, platform, options, runK6, onProgress }) {
    const tenants = await createLoadTenants(client, TENANTS, { prefix: 'realtime' })
    // Each client of the script opens a hundred.
    const sockets = Math.ceil((options.rate ?? SOCKETS) / 100) * 100
    const seconds = options.durationSeconds ?? SECONDS
    const openSeconds = Math.max(10, Math.ceil(sockets / 300))
    onProgress(`${sockets} sockets within ${openSeconds} s, then broadcasts for ${seconds} s`)
    const sampling = sampleProcesses(platform)
    const summary = await runK6(
      'realtime.js',
      { tenants },
      { SOCKETS: sockets, OPEN_SECONDS: openSeconds, SECONDS: seconds, BROADCASTS_PER_SECOND },
    )
    const samples = await sampling.stop()
    await purgeLoadTenants(client, tenants)
    const joined = countOf(summary, 'joined')
    const expected = (countOf(summary, 'broadcasts') * sockets) / TENANTS
    const delivered = countOf(summary, 'delivered')
    const delivery = trendOf(summary, 'delivery_ms')
    const leaks = countOf(summary, 'leaks')
    return {
      verdicts: [
        { promise: 'every socket joins its channel', measured: `${joined} of ${sockets}`, held: joined === sockets },
        {
          promise: 'each broadcast reaches every subscriber once',
          measured: `${delivered} of ${expected}`,
          held: delivered === expected && expected > 0,
        },
        { promise: 'nothing reaches another tenant', measured: String(leaks), held: leaks === 0 },
        {
          promise: `a broadcast arrives within ${DELIVERY_LIMIT_MS} ms (p99)`,
          measured: `${delivery['p(99)'].toFixed(0)} ms`,
          held: delivery['p(99)'] < DELIVERY_LIMIT_MS,
        },
        {
          promise: 'no socket is lost',
          measured: String(countOf(summary, 'lost')),
          held: countOf(summary, 'lost') === 0,
        },
      ],
      figures: [
        [
          'join: p50, p99',
          `${trendOf(summary, 'join_ms').med.toFixed(0)}, ${trendOf(summary, 'join_ms')['p(99)'].toFixed(0)} ms`,
        ],
        ['delivery: p50, p99', `${delivery.med.toFixed(0)}, ${delivery['p(99)'].toFixed(0)} ms`],
        ...samples.map(({ name, rssBytes, largestRssBytes }): [string, string] => [
          `${name}: largest process, at first and at most`,
          `${Math.round((rssBytes[0] ?? 0) / 1e6)}, ${Math.round(largestRssBytes / 1e6)} MB`,
        ]),
      ],
    }
  },
}
