import { request as sendRequest } from 'node:http'
import type { Cores } from './cores.ts'
import type { LoadGenerator, LoadResult } from './generators/measurement.ts'
import { readCoreBusyMicroseconds, readCpuMicroseconds, readLargestRssBytes } from './process-usage.ts'
import type { RunningYardstick } from './yardstick.ts'

/** One measurement of one yardstick. */
export type Sample = LoadResult & {
  requestsPerSecond: number
  /** Processor time of the measured processes for each request: what noise of neighbours distorts least. */
  cpuUsPerRequest: number
  rssBytes: number
  /** How much of the serving core others took, as a fraction of the time. */
  foreignShare: number
}

/** Loads `yardstick` once and takes the figures. */
export async function measure(options: {
  yardstick: RunningYardstick
  mixFile: string
  generator: LoadGenerator
  connections: number
  seconds: number
  cores: Cores
}): Promise<Sample> {
  const { yardstick, mixFile, generator, connections, seconds, cores } = options
  const pids = await yardstick.pids()
  const startedAt = performance.now()
  const [busyBefore, cpuBefore] = [await readCoreBusyMicroseconds(cores.served), await readCpuMicroseconds(pids)]
  const result = await generator.run({ port: yardstick.port, mixFile, connections, seconds, core: cores.load })
  const [busyAfter, cpuAfter] = [await readCoreBusyMicroseconds(cores.served), await readCpuMicroseconds(pids)]
  const elapsedUs = (performance.now() - startedAt) * 1_000
  const cpuUs = cpuAfter - cpuBefore
  return {
    ...result,
    requestsPerSecond: (result.requests / result.durationMs) * 1_000,
    cpuUsPerRequest: result.requests === 0 ? 0 : cpuUs / result.requests,
    rssBytes: await readLargestRssBytes(pids),
    foreignShare: Math.max(0, (busyAfter - busyBefore - cpuUs) / elapsedUs),
  }
}

/** One request, to see that what is about to be measured does its work. @throws when it does not answer 200 and JSON. */
export async function checkAnswer(port: number, request: string, name: string): Promise<void> {
  const [head = '', ...headers] = request.trimEnd().split('\r\n')
  const fields = headers.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  const answer = await new Promise<{ status: number; body: string }>((resolve, reject) => {
    const outgoing = sendRequest({
      host: '127.0.0.1',
      port,
      path: head.split(' ')[1],
      headers: Object.fromEntries(fields),
      agent: false,
    })
    outgoing.once('error', reject)
    outgoing.once('response', (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    outgoing.end()
  })
  if (answer.status !== 200 || !/^[[{]/.test(answer.body))
    throw new Error(`${name} answered ${answer.status}: ${answer.body.slice(0, 300)}`)
}
