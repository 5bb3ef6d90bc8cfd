import { mapBounded } from '../bounded.ts'
import { countOf } from '../k6.ts'
import { startKilling } from '../kill-schedule.ts'
import { createLoadTenants, type LoadTenant, purgeLoadTenants } from '../load-tenants.ts'
import { startOutageProber } from '../outage-prober.ts'
import type { PlatformClient } from '../platform-client.ts'
import type { Scenario } from '../scenario.ts'
import { countWhenSettled } from '../usage-settled.ts'
import { trafficFigures } from './mixed.ts'

const TENANTS = 10
const RATE = 200
const SECONDS = 60
const KILL_EVERY_MS = 8_000
const BACK_WITHIN_MS = 5_000
const FAILED_STATUSES = [0, 500, 502, 503, 504]

/** Kills of every service on a schedule under load; at the end the bill agrees with what the clients saw. */
export const chaos: Scenario = {
  name: 'chaos',
  title: 'services are killed on a schedule under load; the bill agrees with what the clients saw',
  async run({ client, platform, options, runK6, onProgress }) {
    if (platform.directory === undefined)
      throw new Error('chaos kills processes: it only runs on a platform of its own')
    const seconds = options.durationSeconds ?? SECONDS
    const rate = options.rate ?? RATE
    const tenants = await createLoadTenants(client, TENANTS, { prefix: 'chaos' })
    // One more, whose requests are in no bill that is compared.
    const probed = await createLoadTenants(client, 1, { prefix: 'probed' })
    const [probedTenant] = probed
    if (probedTenant === undefined) throw new Error('unreachable')
    const before = await countAll(client, tenants)
    const prober = startOutageProber(client, probedTenant)
    const killing = startKilling(platform, KILL_EVERY_MS, onProgress)
    const summary = await runK6('chaos.js', { tenants }, { RATE: rate, SECONDS: seconds })
    const kills = await killing.stop()
    await prober.stop()
    const outages = kills.map(({ name, atMs }, i) => ({
      name,
      ms: prober.outageMs(atMs, kills[i + 1]?.atMs ?? atMs + KILL_EVERY_MS),
    }))
    const longestMs = Math.max(0, ...outages.map(({ ms }) => ms))
    const after = await countAll(client, tenants)
    const bills = tenants.map((_, i) => ({
      billed: (after[i] ?? 0) - (before[i] ?? 0),
      answered: countOf(summary, `answered{tenant:${i}}`),
      unanswered: countOf(summary, `unanswered{tenant:${i}}`),
    }))
    await purgeLoadTenants(client, [...tenants, ...probed])
    const wrong = bills.filter((b) => b.billed < b.answered || b.billed > b.answered + b.unanswered)
    const sum = (field: 'billed' | 'answered' | 'unanswered') => bills.reduce((total, bill) => total + bill[field], 0)
    const sent = countOf(summary, 'http_reqs')
    return {
      verdicts: [
        {
          promise: 'each tenant is billed for every answer its clients saw, and for nothing that was not sent',
          measured: `${wrong.length} of ${bills.length} bills wrong${wrong.length > 0 ? `: ${JSON.stringify(wrong)}` : ''}`,
          held: wrong.length === 0,
        },
        {
          promise: 'no answer holds a row of another tenant',
          measured: String(countOf(summary, 'leaks')),
          held: countOf(summary, 'leaks') === 0,
        },
        {
          promise: `what was killed is back without hands within ${BACK_WITHIN_MS / 1_000} s`,
          measured: `${(longestMs / 1_000).toFixed(1)} s at most; ${((sum('unanswered') / sent) * 100).toFixed(1)}% of the requests failed`,
          held: longestMs < BACK_WITHIN_MS,
        },
      ],
      figures: [
        ['outage after each kill', outages.map(({ name, ms }) => `${name} ${(ms / 1_000).toFixed(1)} s`).join(', ')],
        ['answered', String(sum('answered'))],
        ['failed', String(sum('unanswered'))],
        [
          'failed, by status (0: no answer)',
          FAILED_STATUSES.map((status) => `${status}: ${countOf(summary, `failed{status:${status}}`)}`).join(', '),
        ],
        ['billed', String(sum('billed'))],
        ...trafficFigures(summary),
      ],
    }
  },
}

function countAll(client: PlatformClient, tenants: readonly LoadTenant[]): Promise<number[]> {
  return mapBounded(tenants, TENANTS, ({ id }) => countWhenSettled(client, id))
}
