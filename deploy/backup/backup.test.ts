import { appendFile, chmod, link, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { findFreePort } from '../../runtime/free-port.ts'
import { makeLogger } from '../../runtime/log.ts'
import { migrate } from '../../runtime/migrations.ts'
import { PostgresServer } from '../../runtime/postgres-server.ts'
import { readSources } from './backup-config.ts'
import { listBackups, nameBackup, removeOldBackups } from './generations.ts'
import { makeBackup } from './make-backup.ts'
import { makeRestore } from './make-restore.ts'
import { readManifest } from './manifest.ts'
import { refuseHalfRestored, Staging } from './staging.ts'

const KEY = 'an encryption key of thirty-two characters'
const log = makeLogger('test', 'silent')
let root: string
let metadata: PostgresServer
let shared: PostgresServer
let work: string

async function startServer(directory: string): Promise<PostgresServer> {
  const server = new PostgresServer({
    directory,
    port: await findFreePort(),
    password: 'test',
    settings: { wal_level: 'logical' },
  })
  await server.start()
  return server
}

async function query(server: PostgresServer, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  return client
    .query(text)
    .then(({ rows }) => rows, Promise.reject.bind(Promise))
    .finally(() => client.end())
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'aerodb-backup-'))
  await chmod(root, 0o711)
  ;[metadata, shared] = await Promise.all([startServer(join(root, 'metadata')), startServer(join(root, 'shared'))])
  const directory = new URL('../../control/migrations', import.meta.url).pathname
  await migrate({ databaseUrl: metadata.url(), schema: 'control', directory, log })
  for (const name of ['shared-0', 'shared-1'])
    await query(
      metadata,
      `insert into control.servers (server, kind, identity, host, port, database, sealed_request_password,
         sealed_ddl_password, capacity, max_connections) values ('${name}', 'shared', '${name}', 'x', 1, 'x', 'x', 'x', 1, 1)`,
    )
  await query(
    metadata,
    `insert into control.tenants (tenant_id, name, plan, region, isolation, status, server)
     values ('ten_acme', 'acme', 'free', 'local', 'schema', 'active', 'shared-0')`,
  )
  await query(shared, `create table kept (title text); insert into kept values ('one'), ('two')`)
})
afterAll(async () => {
  await Promise.all([metadata?.stop(), shared?.stop()])
  await rm(root, { recursive: true, force: true })
})
beforeEach(async () => {
  work = await mkdtemp(join(root, 'work-'))
  await chmod(work, 0o711)
})
afterEach(() => rm(work, { recursive: true, force: true }))

/** A data directory of services whose databases are elsewhere. */
async function makeData(name = 'data'): Promise<string> {
  const folder = join(work, name)
  await mkdir(join(folder, 'files', 'ten_acme', 'ab'), { recursive: true })
  await writeFile(join(folder, 'files', 'ten_acme', 'ab', 'abc'), 'a file')
  await writeFile(join(folder, 'files', 'ten_acme', 'ab', 'abd.part'), 'half a fi')
  await mkdir(join(folder, 'spool', 'prd_1'), { recursive: true })
  await writeFile(join(folder, 'spool', 'prd_1', '0000000000000001.seg'), 'usage')
  await writeFile(join(folder, 'spool', 'prd_1', 'shipper.1.json'), '{}')
  return folder
}

function environment(folder: string, sharedUrls: string): Record<string, string> {
  return {
    AERODB_DATA_DIR: folder,
    AERODB_DATABASE_URL: metadata.url(),
    AERODB_SHARED_DATABASE_URLS: sharedUrls,
    AERODB_ENCRYPTION_KEYS: KEY,
  }
}

async function backUp(
  folder: string,
  onStep: (text: string) => void = () => {},
  sharedUrls = metadata.url(),
): Promise<string> {
  return makeBackup({
    sources: await readSources(environment(folder, sharedUrls)),
    to: join(work, 'backups'),
    withSecrets: true,
    waitMs: 1_000,
    nowMs: Date.now,
    onStep,
  })
}

function restore(from: string, folder: string, more: { keys?: string[]; replace?: boolean } = {}) {
  return makeRestore({
    places: { folders: [folder], encryptionKeys: more.keys ?? [KEY] },
    from,
    secretsFile: undefined,
    replace: more.replace ?? false,
    nowMs: Date.now,
    onStep: () => {},
  })
}

test('servers elsewhere come back as data directories that Postgres starts on, files and spools as they were', async () => {
  const path = await backUp(await makeData(), undefined, `${shared.url()},${metadata.url()}`)
  const manifest = await readManifest(path)
  // The same server by another name is copied once.
  expect(manifest.servers.map(({ uses, embedded }) => ({ uses, embedded }))).toEqual([
    { uses: ['metadata', 'shared'], embedded: false },
    { uses: ['shared'], embedded: false },
  ])
  const target = join(work, 'restored')
  const { otherServers } = await restore(path, target)
  expect(otherServers.map(({ uses }) => uses)).toEqual([['metadata', 'shared'], ['shared']])
  expect(
    await readdir(target, { recursive: true }).then((names) => names.filter((name) => !/servers/.test(name)).sort()),
  ).toEqual([
    'files',
    'files/ten_acme',
    'files/ten_acme/ab',
    'files/ten_acme/ab/abc',
    'spool',
    'spool/prd_1',
    'spool/prd_1/0000000000000001.seg',
  ])
  const again = await startServer(otherServers[1]?.directory ?? '')
  try {
    expect(await query(again, 'select title from kept order by 1')).toEqual([{ title: 'one' }, { title: 'two' }])
  } finally {
    await again.stop()
  }
})

test('a tenant that moves while servers are copied makes it begin again, and one that never rests makes it fail', async () => {
  const folder = await makeData()
  const move = () =>
    query(
      metadata,
      `update control.tenants set server = case server when 'shared-0' then 'shared-1' else 'shared-0' end`,
    )
  const steps: string[] = []
  const path = await backUp(folder, (text) => {
    steps.push(text)
    if (text === 'files' && steps.filter((one) => one === 'files').length === 1) void move()
  })
  expect(steps).toContainEqual(expect.stringMatching(/^again, because the tenant ten_acme moved from/))
  await readManifest(path)
  await expect(backUp(folder, (text) => void (text === 'files' && move()))).rejects.toThrow(/changed under each of 3/)
  expect(await readdir(join(work, 'backups'))).toEqual([path.split('/').at(-1)])
  await query(metadata, `update control.tenants set status = 'migrating'`)
  await expect(backUp(folder)).rejects.toThrow(/does not end/)
  await query(metadata, `update control.tenants set status = 'active'`)
})

test('files that did not change are shared with the backup before, and outlive it', async () => {
  const folder = await makeData()
  const first = await backUp(folder)
  await writeFile(join(folder, 'files', 'ten_acme', 'ab', 'new'), 'a new file')
  const second = await backUp(folder)
  const file = (path: string) => stat(join(path, 'folders/0/files/ten_acme/ab/abc'))
  expect((await file(second)).ino).toBe((await file(first)).ino)
  expect(await removeOldBackups(join(work, 'backups'), 1)).toEqual([first.split('/').at(-1)])
  const target = join(work, 'restored')
  await restore(second, target)
  expect(await readFile(join(target, 'files/ten_acme/ab/new'), 'utf8')).toBe('a new file')
  expect(await readFile(join(target, 'files/ten_acme/ab/abc'), 'utf8')).toBe('a file')
})

test('damage, another key, and a folder in use are refused before anything is done', async () => {
  const path = await backUp(await makeData())
  const target = join(work, 'restored')
  await expect(restore(path, target, { keys: ['another key that has thirty-two characters'] })).rejects.toThrow(
    /another one/,
  )
  await mkdir(target, { recursive: true })
  await writeFile(join(target, 'mine'), 'mine')
  await expect(restore(path, target)).rejects.toThrow(/is not empty: mine/)
  const { aside } = await restore(path, target, { replace: true })
  expect(await readFile(join(aside[0] ?? '', 'mine'), 'utf8')).toBe('mine')
  await appendFile(join(path, 'folders/0/files/ten_acme/ab/abc'), '!')
  await expect(restore(path, join(work, 'other'))).rejects.toThrow(/ab\/abc is not what was written/)
  expect(await readdir(join(work, 'other'))).toEqual([])
})

test('a restore that was cut off while it brought things into place is finished by the next one, and nothing starts before', async () => {
  const target = join(work, 'target')
  await mkdir(target)
  for (const name of ['postgres', 'old']) await writeFile(join(target, name), `old ${name}`)
  const staging = new Staging(target)
  await staging.begin()
  for (const name of ['postgres', 'files', 'spool']) await writeFile(join(staging.path, name), `new ${name}`)
  await staging.complete('a backup', 0)
  const complete = await staging.completed()
  if (complete === undefined) throw new Error('It is complete')
  // As far as a killed one came: what was there is aside, and some of what is new is in its place.
  await mkdir(join(target, complete.aside))
  await link(join(target, 'postgres'), join(target, complete.aside, 'postgres'))
  await rm(join(target, 'postgres'))
  await expect(refuseHalfRestored(target)).rejects.toThrow(/was cut off/)
  const aside = await new Staging(target).settle(complete)
  expect(await readFile(join(aside ?? '', 'postgres'), 'utf8')).toBe('old postgres')
  expect(await readFile(join(aside ?? '', 'old'), 'utf8')).toBe('old old')
  expect((await readdir(target)).sort()).toEqual([complete.aside, 'files', 'postgres', 'spool'].sort())
  expect(await readFile(join(target, 'postgres'), 'utf8')).toBe('new postgres')
  await refuseHalfRestored(target)
})

test('the youngest backups are kept; what is none is left alone', async () => {
  const names = [1, 2, 3].map((day) => nameBackup(Date.UTC(2026, 0, day)))
  for (const name of names) {
    await mkdir(join(work, name))
    await writeFile(join(work, name, 'manifest.json'), '{}')
  }
  await mkdir(join(work, 'mine'))
  await mkdir(join(work, nameBackup(0)))
  expect(await removeOldBackups(work, 2)).toEqual(names.slice(0, 1))
  expect(await listBackups(work)).toEqual(names.slice(1))
  expect((await readdir(work)).sort()).toEqual([nameBackup(0), ...names.slice(1), 'mine'].sort())
})
