import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { findFreePort } from '../../runtime/free-port.ts'
import { connectPostgres, withPostgres } from '../../runtime/postgres-client.ts'
import { PostgresServer } from '../../runtime/postgres-server.ts'
import type { RedisServer } from '../../runtime/redis-server.ts'
import { createDatabase } from '../../test/support/databases.ts'
import { startRedis } from '../../test/support/redis.ts'

/** What a control service needs around it: a metadata database, a shared server of its own (logins belong to a whole server), Redis. */
export type World = {
  databaseUrl: string
  sharedUrl: string
  redis: RedisServer
  stop: () => Promise<void>
}

export async function startWorld(): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'aerodb-control-world-'))
  await chmod(directory, 0o711)
  const postgres = new PostgresServer({
    directory: join(directory, 'postgres'),
    port: await findFreePort(),
    password: 'test',
    settings: {
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      shared_buffers: '16MB',
      wal_level: 'logical',
    },
  })
  const [redis, metadata] = await Promise.all([startRedis(), createDatabase(), postgres.start()])
  return {
    databaseUrl: metadata.url,
    sharedUrl: postgres.url(),
    redis,
    stop: async () => {
      await Promise.all([redis.stop(), postgres.stop(), metadata.drop()])
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Runs `work` on one connection of its own. */
export async function withClient<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  return withPostgres(connectPostgres({ connectionString: url }), work)
}
