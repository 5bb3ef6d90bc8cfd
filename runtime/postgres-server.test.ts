import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findFreePort } from './free-port.ts'
import { PostgresServer } from './postgres-server.ts'
import { isAlive } from './processes.ts'

let directory: string
const servers: PostgresServer[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'aerodb-postgres-'))
  await chmod(directory, 0o711)
})

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop()
  await rm(directory, { recursive: true, force: true })
})

async function makeServer(onExit?: (code: number | null) => void): Promise<PostgresServer> {
  const server = new PostgresServer({
    directory: join(directory, 'data'),
    port: await findFreePort(),
    password: `a 'quoted' p@ss/word`,
    settings: { shared_buffers: '8MB' },
    ...(onExit === undefined ? {} : { onExit }),
  })
  servers.push(server)
  return server
}

async function query(server: PostgresServer, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

test('a server keeps its data over stop and start, and refuses a wrong password', async () => {
  const server = await makeServer()
  await server.start()
  await query(server, 'create table kept as select 1 as id')
  const wrong = new URL(server.url())
  wrong.password = 'wrong'
  await expect(new pg.Client({ connectionString: wrong.href }).connect()).rejects.toThrow(/password/)
  await server.stop()
  const again = await makeServer()
  await again.start()
  expect(await query(again, 'select id from kept')).toEqual([{ id: 1 }])
})

test('a server that an earlier owner left running is ended before another starts on its directory', async () => {
  const orphan = await makeServer()
  await orphan.start()
  await query(orphan, 'create table kept as select 1 as id')
  const pid = orphan.pid ?? 0
  const next = await makeServer()
  await next.start()
  expect(await isAlive(pid)).toBe(false)
  expect(await query(next, 'select id from kept')).toEqual([{ id: 1 }])
})

test('a directory that a killed initdb left half done is made anew', async () => {
  await mkdir(join(directory, 'data'), { mode: 0o700 })
  await writeFile(join(directory, 'data', 'PG_VERSION'), '18\n')
  const server = await makeServer()
  await server.start()
  expect(await query(server, 'select 1 as one')).toEqual([{ one: 1 }])
})

test('a killed server is reported to its owner and starts again with its data', async () => {
  const exited = Promise.withResolvers<void>()
  const server = await makeServer(() => exited.resolve())
  await server.start()
  await query(server, 'create table kept as select 1 as id')
  process.kill(server.pid ?? 0, 'SIGKILL')
  await exited.promise
  await server.start()
  expect(await query(server, 'select id from kept')).toEqual([{ id: 1 }])
})

test('a server that cannot start says why', async () => {
  const server = new PostgresServer({
    directory: join(directory, 'data'),
    port: await findFreePort(),
    password: 'x',
    settings: { shared_buffers: 'nonsense' },
  })
  await expect(server.start()).rejects.toThrow(/shared_buffers/)
})
