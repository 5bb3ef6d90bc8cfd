import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findGoProgram } from '../runtime/go-program.ts'

/** The release that the scenarios are written for. */
const MODULE = 'go.k6.io/k6@v1.8.1'

type Trend = { avg: number; min: number; med: number; max: number; 'p(90)': number; 'p(95)': number; 'p(99)': number }

/** What k6 passes to `handleSummary`, as far as it is read here. */
export type K6Summary = {
  metrics: Record<
    string,
    { type: string; values: Record<string, number>; thresholds?: Record<string, { ok: boolean }> }
  >
  state: { testRunDurationMs: number }
}

/** k6; installed with Go where there is Go. @throws Error that says how to get it. */
export function findK6(onProgress: (text: string) => void): Promise<string> {
  return findGoProgram(MODULE, { onProgress })
}

/** Runs one script to its end. A missed threshold is no fault: it stands in the summary. */
export async function runK6Script(options: {
  program: string
  script: string
  data: unknown
  env: Readonly<Record<string, string | number>>
  scratch: string
  timeoutMs: number
}): Promise<K6Summary> {
  const { program, script, data, env, scratch, timeoutMs } = options
  const dataFile = join(scratch, 'data.json')
  const summaryFile = join(scratch, 'summary.json')
  await writeFile(dataFile, JSON.stringify(data), { mode: 0o600 })
  const path = fileURLToPath(new URL(`./scenarios/k6/${script}`, import.meta.url))
  const settings = { ...env, DATA_FILE: dataFile, SUMMARY_FILE: summaryFile }
  const variables = Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`])
  // 99 is k6's way to say that a threshold was missed.
  await runToEnd(
    program,
    ['run', '--quiet', '--no-color', '--no-usage-report', '--address', '', ...variables, path],
    { okCodes: [0, 99] },
    timeoutMs,
  )
  return JSON.parse(await readFile(summaryFile, 'utf8')) as K6Summary
}

/** Percentiles of a trend in milliseconds; zeros when nothing was measured. */
export function trendOf(summary: K6Summary, metric: string): Trend {
  const values = summary.metrics[metric]?.values ?? {}
  const of = (name: string) => values[name] ?? 0
  return {
    avg: of('avg'),
    min: of('min'),
    med: of('med'),
    max: of('max'),
    'p(90)': of('p(90)'),
    'p(95)': of('p(95)'),
    'p(99)': of('p(99)'),
  }
}

/** How often a counter was raised, or how many samples a rate has. */
export function countOf(summary: K6Summary, metric: string): number {
  return summary.metrics[metric]?.values.count ?? 0
}

/** The fraction of a rate that was true; 0 when it has no samples. */
export function rateOf(summary: K6Summary, metric: string): number {
  return summary.metrics[metric]?.values.rate ?? 0
}

async function runToEnd(
  program: string,
  args: readonly string[],
  { okCodes = [0] }: { okCodes?: readonly number[] },
  timeoutMs: number,
): Promise<void> {
  const child = spawn(program, [...args], { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-8_000)))
  const stop = () => child.kill('SIGTERM')
  process.once('exit', stop)
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  process.off('exit', stop)
  if (code === null || !okCodes.includes(code)) throw new Error(`${program} ended with ${code}: ${output.trim()}`)
}
