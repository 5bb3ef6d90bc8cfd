import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { findFreePort } from '../../runtime/free-port.ts'
import { PostgresServer } from '../../runtime/postgres-server.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The administrator's URL of the test run's own Postgres server, database `postgres`. */
    postgresUrl: string
  }
}

/** One real Postgres for the whole run, in a folder of its own, gone when it ends. Redis is per file: `startRedis`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'aerodb-test-'))
  await chmod(directory, 0o711)
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
    await rm(directory, { recursive: true, force: true })
  }
}
