import type { LoadGenerator } from './generators/measurement.ts'
import { runOpenLoop } from './generators/node-generator.ts'
import type { Group } from './group.ts'
import { measureInRounds, type Row } from './rounds.ts'
import { median } from './statistics.ts'
import { withStubUpstream } from './stub-surroundings.ts'
import { renderLine, wholeNumber } from './table.ts'
import { gateway } from './yardsticks/gateway.ts'
import { nginx } from './yardsticks/nginx.ts'
import { nginxLua } from './yardsticks/nginx-lua.ts'
import { undiciDispatch } from './yardsticks/undici-dispatch.ts'
import { upstreamDirect } from './yardsticks/upstream-direct.ts'

/** Asked for when there is no gateway to take the half load of. */
const DEFAULT_RATE = 5_000

const YARDSTICKS = [upstreamDirect, nginx, nginxLua, undiciDispatch, gateway].map((yardstick) => ({
  ...yardstick,
  name: `latency-${yardstick.name}`,
}))

/** What each adds to the upstream's own latency at half of the gateway's load. */
export const latencyGroup: Group = {
  name: 'latency',
  yardsticks: YARDSTICKS,
  run: (wanted, run) =>
    withStubUpstream(run, async (context, mix) => {
      const { options, onProgress } = run
      const common = { context, mix, seconds: options.seconds, onProgress }
      const [full] = await measureInRounds({ ...common, yardsticks: [gateway], generator: run.generator, rounds: 1 })
      const rate = Math.round((full?.samples[0]?.requestsPerSecond ?? DEFAULT_RATE * 2) / 2)
      const generator: LoadGenerator = { name: 'node open loop', run: (load) => runOpenLoop(load, rate) }
      const rows = await measureInRounds({
        ...common,
        yardsticks: YARDSTICKS.filter(({ name }) => wanted.has(name)),
        generator,
        rounds: options.rounds,
      })
      return {
        group: 'latency',
        title: `Latency at ${wholeNumber(rate)} requests a second, half of what the gateway does`,
        bases: [],
        support: context.support.title,
        rows,
        notes: [renderAdded(rows)],
        generator: 'our open-loop generator',
      }
    }),
}

/** What each adds over the upstream alone: the median of the differences of each round. */
function renderAdded(rows: readonly Row[]): string {
  const direct = rows.find((row) => row.yardstick.name === 'latency-direct')?.samples ?? []
  const lines = rows
    .filter((row) => row.samples.length > 0 && row.samples !== direct && direct.length > 0)
    .map((row) => {
      const added = (field: 'p50Ms' | 'p99Ms') =>
        median(row.samples.map((sample, i) => sample[field] - (direct[i]?.[field] ?? Number.NaN))).toFixed(3)
      return [row.yardstick.title, added('p50Ms'), added('p99Ms')]
    })
  const headings = ['added over the upstream', 'p50 ms (goal: gateway under 0.2)', 'p99 ms (goal: gateway under 1)']
  return [headings, ['---', '---:', '---:'], ...lines].map(renderLine).join('\n')
}
