import { Logger as GraphileLogger, type Runner, run, runMigrations, type TaskList } from 'graphile-worker'
import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'

export type JobQueueOptions = {
  pool: PostgresPool
  tasks: TaskList
  /** Jobs that this process works on at once. */
  concurrency: number
  log: Logger
}

/** Makes or updates the queue's tables; any number of replicas may call it at once. */
export async function migrateJobQueue(pool: PostgresPool, log: Logger): Promise<void> {
  await runMigrations({ pgPool: pool, logger: bridgeLogger(log) })
}

/** Begins to work on jobs; `stop` of the runner waits for those under way. */
export async function startJobQueue(options: JobQueueOptions): Promise<Runner> {
  return run({
    pgPool: options.pool,
    taskList: options.tasks,
    concurrency: options.concurrency,
    // A new job is announced by NOTIFY; polling only finds those whose time has come.
    pollInterval: 1_000,
    noHandleSignals: true,
    // An empty crontab: what is due by time stands in our own tables (see maintenance.ts).
    crontab: '',
    logger: bridgeLogger(options.log),
  })
}

function bridgeLogger(log: Logger): GraphileLogger {
  return new GraphileLogger(() => (level, message) => {
    if (level === 'error') log.error({ part: 'job-queue' }, message)
    else if (level === 'warning') log.warn({ part: 'job-queue' }, message)
    else log.debug({ part: 'job-queue' }, message)
  })
}
