import { fileURLToPath } from 'node:url'
import { PinnedProcess } from '../pinned-process.ts'
import type { LoadGenerator, LoadOptions, LoadResult } from './measurement.ts'
import type { NodeLoadOptions } from './node-load.ts'

const PROGRAM = fileURLToPath(new URL('./node-load.ts', import.meta.url))

/** Our own generator in a closed loop, for machines without wrk. */
export const nodeGenerator: LoadGenerator = { name: 'node', run: (options) => runNodeLoad(options, null) }

/** Our own generator in an open loop of `rate` requests a second: what latency is measured with. */
export function runOpenLoop(options: LoadOptions, rate: number): Promise<LoadResult> {
  return runNodeLoad(options, rate)
}

async function runNodeLoad({ core, ...options }: LoadOptions, rate: number | null): Promise<LoadResult> {
  const settings: NodeLoadOptions = { ...options, rate }
  const load = await PinnedProcess.start({
    program: process.execPath,
    args: [PROGRAM, JSON.stringify(settings)],
    core,
    ipc: false,
  })
  const output = await load.finish((options.seconds + 20) * 1_000)
  const line = output.split('\n').findLast((text) => text.startsWith('{'))
  if (line === undefined) throw new Error(`The generator reported nothing: ${output.trim()}`)
  return JSON.parse(line) as LoadResult
}
