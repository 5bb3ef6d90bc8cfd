import { median } from '../bench/statistics.ts'
import { createLoadTenants, purgeLoadTenants } from '../load-tenants.ts'
import { type ProcessSamples, sampleProcesses } from '../process-samples.ts'
import type { Scenario, Verdict } from '../scenario.ts'
import { p95Verdict, trafficFigures, trafficVerdicts } from './mixed.ts'

const TENANTS = 100
const RATE = 300
const SECONDS = 300
/** Growth from the second third to the last that still counts as flat: caches fill in the first one. */
const FLAT_RATIO = 1.15
const FLAT_SLACK_BYTES = 20e6
const FLAT_SLACK_HANDLES = 20

/** A moderate load for minutes (hours with `--duration`): memory and handles stay flat. */
export const soak: Scenario = {
  name: 'soak',
  title: 'a moderate load for five minutes (or --duration): memory and handles stay flat',
  async run({ client, platform, options, runK6, onProgress }) {
    const rate = options.rate ?? RATE
    const seconds = options.durationSeconds ?? SECONDS
    const tenants = await createLoadTenants(client, TENANTS, { prefix: 'soak', onProgress })
    onProgress(`${rate} req/s for ${seconds} s`)
    const sampling = sampleProcesses(platform)
    const summary = await runK6('mixed.js', { tenants }, { RATE: rate, SECONDS: seconds, P95_MS: 100 })
    const samples = await sampling.stop()
    await purgeLoadTenants(client, tenants)
    return {
      verdicts: [
        ...trafficVerdicts(summary, rate * seconds),
        p95Verdict(summary, 100),
        ...samples.flatMap(flatVerdicts),
      ],
      figures: [['tenants', String(TENANTS)], ...trafficFigures(summary)],
    }
  },
}

function flatVerdicts({ name, rssBytes, handles }: ProcessSamples): Verdict[] {
  const third = Math.floor(rssBytes.length / 3)
  const middle = (values: readonly number[]) => median(values.slice(third, third * 2))
  const last = (values: readonly number[]) => median(values.slice(third * 2))
  return [
    {
      promise: `${name}: memory is flat`,
      measured: `${Math.round(middle(rssBytes) / 1e6)} → ${Math.round(last(rssBytes) / 1e6)} MB`,
      held: last(rssBytes) <= middle(rssBytes) * FLAT_RATIO + FLAT_SLACK_BYTES,
    },
    {
      promise: `${name}: handles are flat`,
      measured: `${middle(handles)} → ${last(handles)}`,
      held: last(handles) <= middle(handles) + FLAT_SLACK_HANDLES,
    },
  ]
}
