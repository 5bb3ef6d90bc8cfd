import { type ChildProcess, fork } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ManualClock } from '../../runtime/clock.ts'
import { makeLogger } from '../../runtime/log.ts'
import { FileBlobStore } from './blobs/file-blob-store.ts'
import type { StatementExecutor } from './session.ts'
import type { Checkpoint } from './steps/services.ts'
import { sweepTenant } from './steps/sweep.ts'
import { localFetch } from './test-support/client.ts'
import type { CrashOrder } from './test-support/crashing-server.ts'
import { type Fixture, openFixture } from './test-support/fixture.ts'
import { StorageServer } from './test-support/storage-server.ts'
import { openExecutor } from './test-support/tenant-database.ts'

/** A real process, killed with SIGKILL between two durable steps; another one finds what it left. */
let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture()
})
afterAll(() => fixture?.close())

const MOMENTS: readonly Checkpoint[] = ['announced', 'blob-written', 'committed', 'blobs-removed']

test.each(MOMENTS)(
  'killed after "%s", an upload has happened or not, and the sweeper removes the rest',
  async (moment) => {
    const files = fixture.files()
    await files.upload('object', 'the old one', { upsert: true })
    await killAt(moment, (url) =>
      localFetch(`${url}/object/files/object`, { method: 'PUT', body: 'the new one!', headers: { apikey: 'service' } }),
    )
    const expected = moment === 'announced' || moment === 'blob-written' ? 'the old one' : 'the new one!'
    await expectWhole(expected)
  },
)

test.each(['committed', 'blobs-removed'] as const)('killed after "%s", a deletion has happened', async (moment) => {
  await fixture.files().upload('object', 'to be deleted', { upsert: true })
  await killAt(moment, (url) =>
    localFetch(`${url}/object/files/object`, { method: 'DELETE', headers: { apikey: 'service' } }),
  )
  expect((await fixture.files().exists('object')).data).toBe(false)
  await sweepLater()
  expect(await fixture.blobs()).toEqual([])
})

test.each(['announced', 'blob-written', 'committed'] as const)(
  'killed after "%s", a resumable upload goes on where it durably was',
  async (moment) => {
    const created = await localFetch(fixture.server.url(fixture.tenant, '/upload/resumable'), {
      method: 'POST',
      headers: {
        apikey: 'service',
        'x-upsert': 'true',
        'tus-resumable': '1.0.0',
        'upload-length': '10',
        'upload-metadata': `bucketName ${btoa('files')},objectName ${btoa('object')}`,
      },
    })
    const id = created.headers.get('location')?.split('/').at(-1) ?? ''
    const send = (url: string, offset: number, body: string) =>
      localFetch(`${url}/upload/resumable/${id}`, {
        method: 'PATCH',
        body,
        headers: {
          apikey: 'service',
          'tus-resumable': '1.0.0',
          'upload-offset': String(offset),
          'content-type': 'application/offset+octet-stream',
        },
      })
    const base = fixture.server.url(fixture.tenant)
    expect((await send(base, 0, '01234')).status).toBe(204)
    await killAt(moment, (url) => send(url, 5, '56789'))
    const head = await localFetch(`${base}/upload/resumable/${id}`, {
      method: 'HEAD',
      headers: { apikey: 'service', 'tus-resumable': '1.0.0' },
    })
    const offset = Number(head.headers.get('upload-offset'))
    expect(offset).toBe(moment === 'committed' ? 10 : 5)
    if (offset === 5) expect((await send(base, 5, '56789')).status).toBe(204)
    await expectWhole('0123456789')
  },
)

test('when the answer to a commit is lost, the object it made is whole all the same', async () => {
  const log = makeLogger('test', 'silent')
  const executor = openExecutor(fixture.database.address, log)
  const losesAnswers: StatementExecutor = {
    ...executor,
    run: async (server, principal, statements) => {
      const outcome = await executor.run(server, principal, statements)
      if (statements.some(({ text }) => text.includes('written as')))
        throw new Error('Connection terminated unexpectedly')
      return outcome
    },
  }
  const blobs = new FileBlobStore(fixture.directory)
  const server = await StorageServer.start({ executor: losesAnswers, blobs, log })
  server.add(fixture.tenant)
  const url = server.url(fixture.tenant, '/object/files/object')
  const answer = await localFetch(url, { method: 'PUT', body: 'committed', headers: { apikey: 'service' } })
  expect(answer.status).toBe(500)
  await server.close()
  await executor.close()
  await expectWhole('committed')
})

/** The object is there, whole; and after a sweep its blobs, and the exact total, are all there is. */
async function expectWhole(content: string): Promise<void> {
  const { data } = await fixture.files().download('object')
  expect(await data?.text()).toBe(content)
  await sweepLater()
  expect(await (await fixture.files().download('object')).data?.text()).toBe(content)
  const row = await fixture.row(
    `select (select files_bytes::int from $schema._storage_usage) as total,
       (select coalesce(sum(jsonb_array_length(blobs)), 0)::int from $schema._storage_objects) as blobs,
       (select count(*)::int from $schema._storage_pending_blobs) as pending`,
  )
  expect(row).toEqual({ total: content.length, blobs: (await fixture.blobs()).length, pending: 0 })
}

/** Sweeps as a process does that comes by two days later. */
async function sweepLater(): Promise<void> {
  const { database, directory } = fixture
  const log = makeLogger('test', 'silent')
  const executor = openExecutor(database.address, log)
  const clock = new ManualClock(Date.now() + 48 * 3_600_000)
  const server = await StorageServer.start({ executor, blobs: new FileBlobStore(directory), log, clock })
  const session = fixture.server.api.openSession(fixture.context())
  await sweepTenant(server.api.services, session)
  await server.close()
  await executor.close()
}

/** Starts a server that kills itself at `moment`, and calls it. */
async function killAt(moment: Checkpoint, call: (url: string) => Promise<unknown>): Promise<void> {
  const { database, directory, tenant } = fixture
  const order: CrashOrder = { address: database.address, directory, tenant, moment }
  const child = fork(`${import.meta.dirname}/test-support/crashing-server.ts`, { stdio: 'inherit' })
  const exited = new Promise<NodeJS.Signals | null>((resolve) => child.once('exit', (_code, signal) => resolve(signal)))
  try {
    const url = await new Promise<string>((resolve, reject) => {
      child.once('message', (message) => resolve(String(message)))
      child.once('exit', () => reject(new Error('The server did not start')))
      child.send(order)
    })
    await call(url).catch(() => {})
    expect(await exited).toBe('SIGKILL')
  } finally {
    end(child)
  }
}

function end(child: ChildProcess): void {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
}
