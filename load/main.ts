import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { findK6, runK6Script } from './k6.ts'
import { LoadPlatform } from './platform.ts'
import { PlatformClient } from './platform-client.ts'
import { renderScenario, writeScenarioReport } from './report.ts'
import type { Scenario, ScenarioOptions } from './scenario.ts'
import { SCENARIOS } from './scenarios.ts'

/** No script runs longer than this, whatever it was told. */
const K6_TIMEOUT_MS = 30 * 60_000

const USAGE = `npm run load -- <scenario> [--endpoints <data dir>/endpoints.json] [--duration seconds] [--rate requests/s] [--tenants n]

Without --endpoints a platform of its own is started, on free ports and with data that goes when it ends.

${SCENARIOS.map(({ name, title }) => `  ${name.padEnd(16)} ${title}`).join('\n')}`

/** Runs one scenario; false when one of its promises was broken. */
async function main(args: readonly string[]): Promise<boolean> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      endpoints: { type: 'string' },
      duration: { type: 'string' },
      rate: { type: 'string' },
      tenants: { type: 'string' },
    },
  })
  const scenario = SCENARIOS.find(({ name }) => name === positionals[0])
  if (scenario === undefined) throw new Error(USAGE)
  const onProgress = (text: string) => console.error(`[${scenario.name}] ${text}`)
  const program = await findK6(onProgress)
  const scratch = await mkdtemp(join(tmpdir(), 'aerodb-k6-'))
  onProgress(values.endpoints === undefined ? 'starting a platform' : 'using the running platform')
  let platform: LoadPlatform | undefined
  const cleanUp = async () => {
    await platform?.stop()
    await rm(scratch, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void cleanUp().finally(() => process.exit(130)))
  try {
    platform =
      values.endpoints === undefined
        ? await LoadPlatform.start(scenario.env)
        : await LoadPlatform.attach(values.endpoints)
    return await runScenario(scenario, platform, program, scratch, {
      durationSeconds: positive('--duration', values.duration),
      rate: positive('--rate', values.rate),
      tenants: positive('--tenants', values.tenants),
    })
  } catch (fault) {
    console.error((await platform?.lastErrors()) ?? '')
    throw fault
  } finally {
    await cleanUp()
  }
}

async function runScenario(
  scenario: Scenario,
  platform: LoadPlatform,
  program: string,
  scratch: string,
  options: ScenarioOptions,
): Promise<boolean> {
  const client = new PlatformClient(platform.endpoints)
  try {
    const result = await scenario.run({
      platform,
      client,
      options,
      runK6: (script, data, env) => {
        const { gateway, domain } = platform.endpoints
        const all = { GATEWAY: gateway, DOMAIN: domain, ...env }
        return runK6Script({ program, script, data, env: all, scratch, timeoutMs: K6_TIMEOUT_MS })
      },
      onProgress: (text) => console.error(`[${scenario.name}] ${text}`),
    })
    const markdown = renderScenario(scenario, result, new Date())
    console.log(`\n${markdown}\n\nWritten to ${await writeScenarioReport(scenario, markdown)}`)
    return result.verdicts.every((verdict) => verdict.held)
  } finally {
    await client.close()
  }
}

function positive(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!(value > 0)) throw new Error(`${name} takes a positive number\n${USAGE}`)
  return value
}

main(process.argv.slice(2)).then(
  (held) => {
    process.exitCode = held ? 0 : 1
  },
  (fault: Error) => {
    console.error(fault.message)
    process.exitCode = 1
  },
)
