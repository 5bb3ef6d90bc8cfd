import { join } from 'node:path'
import type { LoadGenerator } from './generators/measurement.ts'
import { checkAnswer, measure, type Sample } from './measure.ts'
import { type RequestMix, writeRequestMix } from './request-mix.ts'
import type { RunningYardstick, Yardstick, YardstickContext, YardstickName } from './yardstick.ts'

/** A yardstick with what was measured of it in each round, or why nothing was. */
export type Row = { yardstick: YardstickName; version?: string; obstacle?: string; samples: readonly Sample[] }

/** A warm-up goes on until each request of the mix was sent twice (then 10 000 tenants are in the caches), or so often. */
const WARM_UP_SECONDS = 2
const WARM_UP_PASSES = 2
const WARM_UP_TRIES = 10

/**
 * Starts every yardstick that this machine has, warms each up, and measures them in turns (A B C A B C ...), so that a
 * change of the machine's speed meets all alike. Stops them all, also when one fails.
 */
export async function measureInRounds<Context extends YardstickContext>(options: {
  yardsticks: readonly Yardstick<Context>[]
  context: Context
  mix: RequestMix
  generator: LoadGenerator
  seconds: number
  rounds: number
  onProgress: (text: string) => void
}): Promise<Row[]> {
  const { yardsticks, context, generator, seconds, rounds, onProgress } = options
  const rows: (Row & { samples: Sample[]; running?: RunningYardstick; mixFile: string })[] = []
  try {
    for (const yardstick of yardsticks) {
      const row: (typeof rows)[number] = {
        yardstick,
        samples: [],
        mixFile: join(context.scratch, `${yardstick.name}.mix`),
      }
      rows.push(row)
      const obstacle = await yardstick.findObstacle?.()
      if (obstacle !== undefined) {
        row.obstacle = obstacle
        continue
      }
      const version = await yardstick.version?.()
      if (version !== undefined) row.version = version
      onProgress(`starting ${yardstick.name}`)
      try {
        row.running = await yardstick.start(context)
        const mix = row.running.mix ?? options.mix
        await checkAnswer(row.running.port, mix.requests[0] ?? '', yardstick.name)
        await writeRequestMix(mix, row.mixFile)
      } catch (fault) {
        // One that does not come up costs its row, and the reason stands in its place; the others are still worth having.
        row.obstacle = shortReason(fault)
        onProgress(`${yardstick.name}: ${fault instanceof Error ? fault.message : fault}`)
      }
    }
    const ready = rows.flatMap((row) =>
      row.running === undefined || row.obstacle !== undefined ? [] : [{ row, running: row.running }],
    )
    const measureOne = ({ row, running }: (typeof ready)[number], lengthSeconds: number) =>
      measure({
        yardstick: running,
        mixFile: row.mixFile,
        generator,
        connections: context.connections,
        seconds: lengthSeconds,
        cores: context.cores,
        support: context.support,
      })
    for (const one of ready) {
      const wanted = (one.running.mix ?? options.mix).requests.length * WARM_UP_PASSES
      for (let sent = 0, tries = 0; (sent < wanted || tries === 0) && tries < WARM_UP_TRIES; tries++)
        sent += (await measureOne(one, WARM_UP_SECONDS)).requests
    }
    for (let round = 1; round <= rounds; round++) {
      for (const one of ready) {
        const { row } = one
        const sample = await measureOne(one, seconds)
        row.samples.push(sample)
        onProgress(
          `round ${round}/${rounds} ${row.yardstick.name}: ${Math.round(sample.requestsPerSecond)} req/s, ` +
            `${sample.cpuUsPerRequest.toFixed(1)} µs/req, p99 ${sample.p99Ms.toFixed(2)} ms, ${sample.errors} errors`,
        )
      }
    }
  } finally {
    for (const { running } of rows.toReversed()) await running?.stop()
  }
  return rows.map(({ yardstick, version, obstacle, samples }) => ({
    yardstick,
    ...(version === undefined ? {} : { version }),
    ...(obstacle === undefined ? {} : { obstacle }),
    samples,
  }))
}

/** The one line of a fault that says most: the error that a program died of, rather than where. */
function shortReason(fault: unknown): string {
  const lines = (fault instanceof Error ? fault.message : String(fault)).split('\n')
  return (lines.find((line) => /^\w*Error\b/.test(line)) ?? lines[0] ?? '').slice(0, 200)
}
