import { request as sendRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cores } from './cores.ts'
import type { LoadGenerator, LoadResult } from './generators/measurement.ts'
import { readCoreBusyMicroseconds, readCpuMicroseconds, readLargestRssBytes } from './process-usage.ts'
import type { RunningYardstick, Support } from './yardstick.ts'

/** One measurement of one yardstick. */
export type Sample = LoadResult & {
  requestsPerSecond: number
  /** Processor time of the measured processes for each request: what noise of neighbours distorts least. */
  cpuUsPerRequest: number
  rssBytes: number
  /** Processor time of the supporting server for each request. */
  supportCpuUsPerRequest: number
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
  support: Support
}): Promise<Sample> {
  const { yardstick, mixFile, generator, connections, seconds, cores, support } = options
  const pids = await yardstick.pids()
  const supportPids = await support.pids()
  const supportBefore = await readCpuMicroseconds(supportPids)
  const startedAt = performance.now()
  const [busyBefore, cpuBefore] = [await readCoreBusyMicroseconds(cores.served), await readCpuMicroseconds(pids)]
  const result = await generator.run({ port: yardstick.port, mixFile, connections, seconds, core: cores.load })
  const [busyAfter, cpuAfter] = [await readCoreBusyMicroseconds(cores.served), await readCpuMicroseconds(pids)]
  const elapsedUs = (performance.now() - startedAt) * 1_000
  const cpuUs = cpuAfter - cpuBefore
  const supportCpuUs = (await readCpuMicroseconds(supportPids)) - supportBefore
  const perRequest = (us: number) => (result.requests === 0 ? 0 : us / result.requests)
  return {
    ...result,
    requestsPerSecond: (result.requests / result.durationMs) * 1_000,
    cpuUsPerRequest: perRequest(cpuUs),
    supportCpuUsPerRequest: perRequest(supportCpuUs),
    rssBytes: await readLargestRssBytes(pids),
    foreignShare: Math.max(0, (busyAfter - busyBefore - cpuUs) / elapsedUs),
  }
}

const ANSWER_TIMEOUT_MS = 15_000

/**
 * Sends one request, again and again until it is answered with 200 and JSON: what accepts connections may not serve yet, and
 * what does not do its work is not measured. @throws with the last answer when that does not happen in time.
 */
export async function checkAnswer(port: number, request: string, name: string): Promise<void> {
  const deadline = performance.now() + ANSWER_TIMEOUT_MS
  for (;;) {
    const { status, body } = await ask(port, request).catch((fault: Error) => ({ status: 0, body: fault.message }))
    if (status === 200 && /^[[{]/.test(body)) return
    if (performance.now() > deadline) throw new Error(`${name} answered ${status}: ${body.slice(0, 300)}`)
    await sleep(100)
  }
}

function ask(port: number, request: string): Promise<{ status: number; body: string }> {
  const [head = '', ...headers] = request.trimEnd().split('\r\n')
  const fields = headers.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  return new Promise((resolve, reject) => {
    const path = head.split(' ')[1]
    const outgoing = sendRequest({ host: '127.0.0.1', port, path, headers: Object.fromEntries(fields), agent: false })
    outgoing.once('error', reject)
    outgoing.once('response', (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    outgoing.end()
  })
}
