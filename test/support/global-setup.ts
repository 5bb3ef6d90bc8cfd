import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { findFreePort } from '../../runtime/free-port.ts'
import { PostgresServer } from '../../runtime/postgres-server.ts'
import { commandLine } from '../../runtime/processes.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The administrator's URL of the test run's own Postgres server, database `postgres`. */
    postgresUrl: string
  }
}

/**
 * One real Postgres for the whole run, and a folder for all its temporary files (`TMPDIR`). When the run ends both are gone;
 * a file or a process that a test left behind fails the run. Redis is per file: `startRedis`.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'aerodb-test-'))
  const temporary = join(directory, 'tmp')
  await mkdir(temporary)
  // Postgres runs as a user of its own and passes through.
  for (const folder of [directory, temporary]) await chmod(folder, 0o711)
  const outer = process.env.TMPDIR
  process.env.TMPDIR = temporary
  const postgres = new PostgresServer({
    directory: join(directory, 'postgres'),
    port: await findFreePort(),
    password: 'test',
    settings: {
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      max_connections: '300',
      shared_buffers: '64MB',
      wal_level: 'logical',
    },
  })
  await postgres.start()
  project.provide('postgresUrl', postgres.url())
  return async () => {
    await postgres.stop()
    if (outer === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = outer
    const left = [
      ...(await readdir(temporary)).filter((name) => name.startsWith('aerodb-')).map((name) => `file ${name}`),
      ...(await processesOf(directory)).map((line) => `process ${line}`),
    ]
    await rm(directory, { recursive: true, force: true })
    if (left.length > 0) {
      process.exitCode = 1
      throw new Error(`The tests left behind:\n${left.map((line) => `  ${line}`).join('\n')}`)
    }
  }
}

/** Processes whose command line names `directory` (Linux): servers that a test started on a folder and did not stop. */
async function processesOf(directory: string): Promise<string[]> {
  const names = await readdir('/proc').catch(() => [])
  const lines = await Promise.all(
    names.filter((name) => /^\d+$/.test(name)).map(async (pid) => `${pid} ${await commandLine(Number(pid))}`),
  )
  return lines.filter((line) => line.includes(directory))
}
