import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { ConfigError, readConfig, url } from '../runtime/config.ts'
import { makeLogger } from '../runtime/log.ts'
import { makePostgresPool } from '../runtime/postgres-pool.ts'
import { Problem } from '../runtime/problem.ts'
import { HOUR_MS, hourOf } from './gauge.ts'
import { monthOf, parseMonth } from './month.ts'
import { countPending, readMarks, reconcile, type Scope } from './reconciliation.ts'
import { surveySpools } from './spool-survey.ts'

const USAGE = `npm run reconcile -- [--month YYYY-MM | --from <ISO time> --until <ISO time>] [--tenant ten_...] [--responses N] [--wait seconds]

Proves that responses = spool = ledger = rollups = usage, and names the first difference (exit code 1).
Without a period: the current month, of all tenants. Times are UTC and on whole hours; the end does not belong to the period.
  --responses  how many responses clients received of what is selected: compared too
  --wait       waits so long for what is still on its way to the ledger (default 10)
The database is AERODB_DATABASE_URL, else that of the platform that runs on AERODB_DATA_DIR (.aerodb), whose spool is read.`

const configSchema = z.object({
  AERODB_DATA_DIR: z.string().min(1).default('.aerodb'),
  AERODB_DATABASE_URL: url('postgres:', 'postgresql:').optional(),
})

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      month: { type: 'string' },
      from: { type: 'string' },
      until: { type: 'string' },
      tenant: { type: 'string' },
      responses: { type: 'string' },
      wait: { type: 'string', default: '10' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(USAGE)
    return 0
  }
  const config = readConfig(configSchema)
  const scope = readScope(values)
  const databaseUrl = config.AERODB_DATABASE_URL ?? (await readRunningUrl(config.AERODB_DATA_DIR))
  const spoolDirectory = join(config.AERODB_DATA_DIR, 'spool')
  const pool = makePostgresPool({
    url: databaseUrl,
    applicationName: 'aerodb-reconcile',
    maxConnections: 2,
    log: makeLogger('reconcile', 'warn'),
  })
  try {
    const deadline = performance.now() + Number(values.wait) * 1_000
    let spooled = await surveySpools(spoolDirectory)
    while (countPending(spooled, await readMarks(pool)) > 0 && performance.now() < deadline) {
      await sleep(200)
      spooled = await surveySpools(spoolDirectory)
    }
    const responses = values.responses === undefined ? undefined : Number(values.responses)
    const findings = await reconcile(pool, scope, spooled, responses)
    const who = scope.tenantId ?? 'all tenants'
    console.log(`${new Date(scope.fromMs).toISOString()} to ${new Date(scope.untilMs).toISOString()}, ${who}`)
    for (const { check, compared, difference } of findings) {
      console.log(`${difference === undefined ? 'ok  ' : 'DIFF'}  ${check.padEnd(24)} ${compared}`)
      if (difference !== undefined) console.log(`      ${difference}`)
    }
    return findings.some((finding) => finding.difference !== undefined) ? 1 : 0
  } finally {
    await pool.end()
  }
}

function readScope(values: { month?: string; from?: string; until?: string; tenant?: string }): Scope {
  const tenant = values.tenant === undefined ? {} : { tenantId: values.tenant }
  if (values.from === undefined && values.until === undefined) {
    const month = values.month === undefined ? monthOf(Date.now()) : parseMonth(values.month)
    return { fromMs: month.startMs, untilMs: month.endMs, ...tenant }
  }
  const fromMs = Date.parse(values.from ?? '')
  const untilMs = values.until === undefined ? hourOf(Date.now()) + HOUR_MS : Date.parse(values.until)
  if (!(fromMs < untilMs) || fromMs % HOUR_MS !== 0 || untilMs % HOUR_MS !== 0)
    throw new ConfigError(['--from and --until: must be times on whole UTC hours, such as 2026-11-01T00:00Z'])
  return { fromMs, untilMs, ...tenant }
}

async function readRunningUrl(dataDirectory: string): Promise<string> {
  try {
    const endpoints = JSON.parse(await readFile(join(dataDirectory, 'endpoints.json'), 'utf8')) as {
      metadata_database_url: string
    }
    return endpoints.metadata_database_url
  } catch {
    throw new ConfigError(['AERODB_DATABASE_URL: is required while no platform runs on AERODB_DATA_DIR'])
  }
}

try {
  process.exitCode = await main()
} catch (fault) {
  const known = fault instanceof ConfigError || fault instanceof Problem || fault instanceof TypeError
  console.error(known ? `${fault.message}\n\n${USAGE}` : fault)
  process.exitCode = 2
}
