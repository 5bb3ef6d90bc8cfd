import { fileURLToPath } from 'node:url'
import { PinnedProcess } from '../pinned-process.ts'
import type { LoadGenerator, LoadResult } from './measurement.ts'

const SCRIPT = fileURLToPath(new URL('./wrk.lua', import.meta.url))

/** wrk with one thread, which sends the mix by `wrk.lua` and reports as JSON. */
export function makeWrkGenerator(program: string): LoadGenerator {
  return {
    name: 'wrk',
    async run({ port, mixFile, connections, seconds, core }) {
      const args = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', '5s', '-s', SCRIPT]
      const wrk = await PinnedProcess.start({
        program,
        args: [...args, `http://127.0.0.1:${port}`, '--', mixFile],
        core,
      })
      const output = await wrk.finish((seconds + 20) * 1_000)
      const line = output.split('\n').findLast((text) => text.startsWith('{'))
      if (line === undefined) throw new Error(`wrk reported nothing: ${output.trim()}`)
      return JSON.parse(line) as LoadResult
    },
  }
}
