import type { DataContext } from './data-context.ts'
import { withDataPlatform } from './data-surroundings.ts'
import type { LoadGenerator } from './generators/measurement.ts'
import { runOpenLoop } from './generators/node-generator.ts'
import type { Group, RunContext } from './group.ts'
import { measureInRounds, type Row } from './rounds.ts'
import { median } from './statistics.ts'
import { wholeNumber } from './table.ts'
import { backend, backendList, backendSingle } from './yardsticks/backend.ts'
import { gatewayBackend, gatewayBackendList } from './yardsticks/gateway-backend.ts'
import { postgrest, postgrestList } from './yardsticks/postgrest.ts'

const YARDSTICKS = [backend, backendSingle, gatewayBackend, postgrest, backendList, gatewayBackendList, postgrestList]
/** Each of these brings its own requests. */
const NO_MIX = { requests: [] }

/** The tenant API over a real Postgres, and the real PostgREST over the same rows. */
export const dataGroup: Group = {
  name: 'data',
  yardsticks: YARDSTICKS,
  run: (wanted, run) =>
    withDataPlatform(run, async (context) => {
      const rows = await measureInRounds({
        yardsticks: YARDSTICKS.filter(({ name }) => wanted.has(name)),
        context,
        mix: NO_MIX,
        generator: run.generator,
        seconds: run.options.seconds,
        rounds: run.options.rounds,
        onProgress: run.onProgress,
      })
      return {
        group: 'data',
        title: 'The tenant API, over Postgres',
        support: context.support.title,
        bases: [
          { name: 'postgrest', heading: '× PostgREST, one row' },
          { name: 'postgrest-list', heading: '× PostgREST, ten rows' },
        ],
        rows,
        notes: await measureHalfLoad(rows, context, run),
      }
    }),
}

/** Latency of one row through gateway and backend at half of what they do. */
async function measureHalfLoad(rows: readonly Row[], context: DataContext, run: RunContext): Promise<string[]> {
  const full = rows.find((row) => row.yardstick.name === gatewayBackend.name)?.samples ?? []
  if (full.length === 0) return []
  const rate = Math.round(median(full.map((sample) => sample.requestsPerSecond)) / 2)
  const generator: LoadGenerator = { name: 'node open loop', run: (load) => runOpenLoop(load, rate) }
  const [row] = await measureInRounds({
    yardsticks: [{ ...gatewayBackend, name: 'gateway-backend-half' }],
    context,
    mix: NO_MIX,
    generator,
    seconds: run.options.seconds,
    rounds: run.options.rounds,
    onProgress: run.onProgress,
  })
  const of = (field: 'p50Ms' | 'p99Ms') => median((row?.samples ?? []).map((sample) => sample[field])).toFixed(3)
  return [
    `One row by id through gateway and backend at half load (open loop, ${wholeNumber(rate)} req/s): ` +
      `p50 ${of('p50Ms')} ms (goal: under 1 ms), p99 ${of('p99Ms')} ms.`,
  ]
}
