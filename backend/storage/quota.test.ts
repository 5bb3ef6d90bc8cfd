import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { StorageRecord } from '../../metering/contract.ts'
import { type Fixture, openFixture } from './test-support/fixture.ts'

let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture()
})
afterAll(() => fixture?.close())

beforeEach(async () => {
  const { data } = await fixture.files().list('', { limit: 1_000 })
  if (data !== null && data.length > 0) await fixture.files().remove(data.map((object) => object.name))
  fixture.server.quotas.set(fixture.tenant.tenantId, 1_000)
  fixture.server.usage.length = 0
})

const body = (bytes: number) => Buffer.alloc(bytes, 'x')
const stream = (bytes: number) => new Blob([body(bytes)]).stream()
const lastTotal = () => (fixture.server.usage.at(-1) as StorageRecord | undefined)?.filesBytes
const storedTotal = async () =>
  Number((await fixture.row('select files_bytes from $schema._storage_usage'))?.files_bytes)

test('an upload that passes the quota gets 507 and leaves nothing, whether its length is known or not', async () => {
  const files = fixture.files()
  expect((await files.upload('full', body(1_000))).error).toBeNull()
  const blobs = await fixture.blobs()
  for (const [name, content] of Object.entries({ known: body(1), stream: stream(1), form: new Blob([body(1)]) })) {
    expect((await files.upload(name, content)).error, name).toMatchObject({
      status: 507,
      statusCode: '507',
      code: 'storage_quota_exceeded',
    })
  }
  expect(await fixture.blobs()).toEqual(blobs)
  expect(await storedTotal()).toBe(1_000)
  expect((await files.list()).data?.map((object) => object.name)).toEqual(['full'])
  expect(await fixture.row('select count(*)::int as n from $schema._storage_pending_blobs')).toEqual({ n: 0 })
})

test('what is deleted is free at once, and reads and deletes work over the quota', async () => {
  const files = fixture.files()
  await files.upload('a', body(600))
  await files.upload('b', body(400))
  fixture.server.quotas.set(fixture.tenant.tenantId, 10)
  expect((await files.download('a')).data?.size).toBe(600)
  expect((await files.upload('c', body(1))).error).toMatchObject({ status: 507 })
  expect((await files.remove(['a'])).data).toHaveLength(1)
  fixture.server.quotas.set(fixture.tenant.tenantId, 1_000)
  expect((await files.upload('c', body(600))).error).toBeNull()
})

test('replacing an object counts the difference', async () => {
  const files = fixture.files()
  await files.upload('a', body(900))
  expect((await files.update('a', body(1_000))).error).toBeNull()
  expect((await files.update('a', stream(1_000), { duplex: 'half' })).error).toBeNull()
  expect((await files.update('a', body(1_001))).error).toMatchObject({ status: 507 })
  expect((await files.download('a')).data?.size).toBe(1_000)
  fixture.server.quotas.set(fixture.tenant.tenantId, 5)
  expect((await files.update('a', body(100))).error).toBeNull()
  expect(lastTotal()).toBe(100)
})

test('copies count, moves do not', async () => {
  const files = fixture.files()
  await files.upload('a', body(600))
  expect((await files.copy('a', 'b')).error).toMatchObject({ status: 507 })
  expect((await files.move('a', 'c')).error).toBeNull()
  expect(await storedTotal()).toBe(600)
})

test('uploads at the same time never pass the quota together', async () => {
  const files = fixture.files()
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, i) => files.upload(`p${i}`, i % 2 === 0 ? body(150) : new Blob([body(150)]))),
  )
  const stored = results.filter((result) => result.error === null)
  expect(stored).toHaveLength(6)
  for (const { error } of results) if (error !== null) expect(error).toMatchObject({ status: 507 })
  expect(await storedTotal()).toBe(900)
  expect(lastTotal()).toBe(900)
  expect((await fixture.blobs()).length).toBe(6)
})

test('each change is recorded with the exact total, in the order of the changes', async () => {
  const files = fixture.files()
  await files.upload('a', body(100))
  await files.upload('b', body(200))
  await files.update('a', body(50))
  await files.remove(['a', 'b'])
  const records = fixture.server.usage as StorageRecord[]
  expect(records.map((record) => [record.kind, record.tenantId, record.filesBytes])).toEqual(
    [100, 300, 250, 0].map((bytes) => ['storage', fixture.tenant.tenantId, bytes]),
  )
  const times = records.map((record) => record.completedAtMs)
  expect(times).toEqual([...times].sort((a, b) => a - b))
})

test('the total is the sum of what is there after any mix of changes at once', async () => {
  fixture.server.quotas.delete(fixture.tenant.tenantId)
  const files = fixture.files()
  await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      const name = `m${i % 7}`
      if (i % 5 === 0) await files.remove([name])
      else if (i % 5 === 1) await files.move(name, `m${(i + 1) % 7}`)
      else if (i % 5 === 2) await files.copy(name, `m${(i + 3) % 7}`)
      else await files.upload(name, body(i), { upsert: true })
    }),
  )
  const { data } = await files.list()
  const sum = data?.reduce((total, object) => total + (object.metadata?.size ?? 0), 0)
  expect(await storedTotal()).toBe(sum)
  const blobs = await fixture.blobs()
  expect(blobs).toHaveLength(data?.filter((object) => object.metadata?.size !== 0).length ?? -1)
})
