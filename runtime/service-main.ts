import { ConfigError } from './config.ts'
import { Lifecycle } from './lifecycle.ts'
import { type Logger, makeLogger } from './log.ts'

export type ServiceContext<Config> = { config: Config; log: Logger; lifecycle: Lifecycle }

/**
 * The frame of every `main.ts`: reads and checks the configuration before anything else (`--validate` stops there),
 * reports every violation at once with exit code 2, then runs `start` under a lifecycle.
 */
export async function serviceMain<Config extends { AERODB_LOG_LEVEL: string }>(
  service: string,
  readServiceConfig: () => Config,
  start: (context: ServiceContext<Config>) => Promise<void>,
): Promise<void> {
  let config: Config
  try {
    config = readServiceConfig()
  } catch (fault) {
    if (!(fault instanceof ConfigError)) throw fault
    console.error(`${service}: ${fault.message}`)
    process.exit(2)
  }
  if (process.argv.includes('--validate')) {
    console.log(`${service}: the configuration is valid`)
    process.exit(0)
  }
  const log = makeLogger(service, config.AERODB_LOG_LEVEL)
  const lifecycle = new Lifecycle(log)
  lifecycle.listen()
  try {
    await start({ config, log, lifecycle })
  } catch (fault) {
    log.fatal({ err: fault }, 'could not start')
    await lifecycle.stop()
    process.exit(1)
  }
}
