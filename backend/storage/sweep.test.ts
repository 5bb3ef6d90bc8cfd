import { readdir } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { StorageRecord } from '../../metering/contract.ts'
import { ManualClock } from '../../runtime/clock.ts'
import type { BlobStore } from './blobs/blob-store.ts'
import { FileBlobStore } from './blobs/file-blob-store.ts'
import { temporaryDirectory } from './test-support/files.ts'
import { type Fixture, openFixture } from './test-support/fixture.ts'

let fixture: Fixture
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let storeIsAway = false
const clock = new ManualClock(Date.now())

/** A file store that can be out of reach for removals. */
class FlakyBlobStore extends FileBlobStore implements BlobStore {
  override async remove(ref: Parameters<BlobStore['remove']>[0]): Promise<void> {
    if (storeIsAway) throw new Error('the blob store is away')
    await super.remove(ref)
  }
}

beforeAll(async () => {
  directory = await temporaryDirectory()
  fixture = await openFixture({ clock, blobs: new FlakyBlobStore(directory.path), sweepEveryMs: 60_000 })
})
afterAll(async () => {
  await fixture?.close()
  await directory?.remove()
})

const filesLeft = async () => {
  await fixture.server.api.services.background.drain()
  const entries = await readdir(directory.path, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).length
}

test('blobs that could not be removed are removed when the tenant is next asked for and its sweep is due', async () => {
  const files = fixture.files()
  await files.upload('a', 'x')
  storeIsAway = true
  expect((await files.remove(['a'])).error).toBeNull()
  expect(await filesLeft()).toBe(1)
  storeIsAway = false
  await files.list()
  expect(await filesLeft()).toBe(1)
  clock.advance(61_000)
  await files.list()
  expect(await filesLeft()).toBe(0)
})

test('a sweep corrects a total that somebody changed behind our back, and reports it', async () => {
  await fixture.files().upload('b', '12345')
  await fixture.row('update $schema._storage_usage set files_bytes = 0')
  clock.advance(61_000)
  await fixture.files().list()
  await fixture.server.api.services.background.drain()
  expect(await fixture.row('select files_bytes::int as n from $schema._storage_usage')).toEqual({ n: 5 })
  expect(fixture.server.usage.at(-1) as StorageRecord).toMatchObject({ kind: 'storage', filesBytes: 5 })
})

test('an upload whose blob was condemned meanwhile is refused, not left pointing at nothing', async () => {
  const { objects } = fixture.server.api.services
  const session = fixture.server.api.openSession({ ...fixture.context(), role: 'service_role' })
  const version = '00000000-0000-4000-8000-000000000001'
  await objects.announceBlobs(session, [version], 24)
  await fixture.row('update $schema._storage_pending_blobs set condemned = true')
  const outcome = await objects.write(session, {
    bucket_id: 'files',
    name: 'late',
    owner: null,
    version,
    blobs: [{ v: version, n: 1 }],
    size: 1,
    etag: '"x"',
    mimetype: 'text/plain',
    cache_control: 'no-cache',
    content_encoding: null,
    user_metadata: null,
    upsert: false,
    quotaBytes: null,
  })
  expect(outcome).toEqual({ outcome: 'outlived' })
  expect((await fixture.files().exists('late')).data).toBe(false)
})
