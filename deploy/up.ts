import { Listr } from 'listr2'
import { ConfigError } from '../runtime/config.ts'
import { NewerDatabaseError } from '../runtime/migrations.ts'
import { makeDemo } from './demo.ts'
import { ensureRedis } from './ensure-redis.ts'
import { type Endpoints, Platform } from './platform.ts'
import { Remedy } from './remedy.ts'
import { readUpConfig } from './up-config.ts'

const USAGE = `npm run up [-- --demo] [-- --validate]

Starts the whole platform in the foreground and stops it on Ctrl-C.
  --demo      also creates two tenants with data
  --validate  checks the configuration and ends`

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.filter((arg) => !['--demo', '--validate', '--help'].includes(arg))
  if (unknown.length > 0 || args.includes('--help')) {
    console.error(USAGE)
    return unknown.length > 0 ? 2 : 0
  }
  const config = readUpConfig()
  if (args.includes('--validate')) {
    console.log('The configuration is valid.')
    return 0
  }
  const platform = new Platform(config, (text) => console.error(`[up] ${text}`))
  const stopped = Promise.withResolvers<void>()
  let isStopping = false
  const stop = (reason: string) => {
    if (!isStopping) console.error(`\n[up] stopping (${reason})`)
    isStopping = true
    stopped.resolve()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(signal))
  process.on('disconnect', () => stop('the launcher is gone'))
  // A terminal that is gone must not keep us from stopping in order.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

  try {
    const started = startAll(platform)
    await Promise.race([started, stopped.promise])
    if (!isStopping) {
      const endpoints = await platform.announce()
      printEndpoints(endpoints, config.AERODB_DATA_DIR)
      if (args.includes('--demo')) console.log(await makeDemo(endpoints, config.AERODB_DATA_DIR))
      console.log('\nCtrl-C stops it. Data is kept.')
      await stopped.promise
    } else {
      await started.catch(() => {})
    }
    return 0
  } finally {
    await platform.stop()
  }
}

async function startAll(platform: Platform): Promise<void> {
  const tasks = new Listr(
    [
      { title: 'Data directory, secrets, ports', task: () => platform.prepare() },
      {
        title: 'Databases, dashboard',
        task: (_, task) =>
          task.newListr(
            [
              { title: 'Dashboard', task: () => platform.buildDashboard() },
              { title: 'PostgreSQL', enabled: () => platform.needsPostgres, task: () => platform.startPostgres() },
              {
                title: 'Redis',
                enabled: () => platform.needsRedis,
                task: async (_context, redisTask) =>
                  platform.startRedis(await ensureRedis((text) => (redisTask.output = text))),
              },
            ],
            { concurrent: true },
          ),
      },
      {
        title: 'Services',
        task: (_, task) =>
          task.newListr(
            (['metering', 'control', 'backend', 'gateway'] as const).map((name) => ({
              title: name,
              task: () => platform.startService(name),
            })),
            { concurrent: true },
          ),
      },
    ],
    { fallbackRenderer: 'simple', rendererOptions: { collapseSubtasks: false } },
  )
  await tasks.run()
}

function printEndpoints(endpoints: Endpoints, dataDirectory: string): void {
  const { port } = new URL(endpoints.gateway)
  console.log(`
AeroDB is ready.

  dashboard      http://control.${endpoints.domain}:${port}/      (sign in with the platform key)
  platform API   http://control.${endpoints.domain}:${port}/v1      (API reference: http://control.${endpoints.domain}:${port}/docs)
  tenants        http://<name>.${endpoints.domain}:${port}
  metrics        ${endpoints.admin}/metrics
  platform key   ${endpoints.platform_key}
  everything     ${dataDirectory}/endpoints.json, logs in ${dataDirectory}/logs

  curl -X POST http://control.${endpoints.domain}:${port}/v1/tenants -H 'Authorization: Bearer ${endpoints.platform_key}' \\
       -H 'Content-Type: application/json' -d '{"name":"acme"}'`)
}

/** What failed and what to do about it; a fault that nobody foresaw is shown whole. */
function explain(fault: unknown): string {
  if (fault instanceof Remedy) return `${fault.message}\n  Remedy: ${fault.remedy}`
  if (fault instanceof ConfigError || fault instanceof NewerDatabaseError) return fault.message
  return fault instanceof Error ? fault.message : String(fault)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (fault) {
  console.error(`\nThe platform did not start.\n${explain(fault)}`)
  process.exitCode = 1
}
if (process.connected) process.disconnect?.()
