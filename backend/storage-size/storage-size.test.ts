import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { UsageRecord } from '../../metering/contract.ts'
import { ManualClock } from '../../runtime/clock.ts'
import { makeLogger } from '../../runtime/log.ts'
import { ServerSession } from '../postgres/server-session.ts'
import type { Servers } from '../postgres/servers.ts'
import { TenantDatabase, type TestTenant } from '../test-support/tenant-database.ts'
import { TestBackend } from '../test-support/test-backend.ts'
import { StorageSampler } from './storage-sampler.ts'

let database: TenantDatabase
let backend: TestBackend
let acme: TestTenant

beforeAll(async () => {
  database = await TenantDatabase.create()
  backend = await TestBackend.start([database.record])
  acme = await database.addTenant()
  await backend.call(acme, '/schema/v1/collections', {
    body: { name: 'docs', columns: [{ name: 'text', type: 'text' }] },
  })
})

afterAll(async () => {
  await backend?.stop()
  await database?.drop()
})

const size = async () => {
  const { rows } = await database.asAdmin(
    `select sum(pg_total_relation_size(oid))::bigint::text as bytes from pg_class
     where relnamespace = '${acme.schema}'::regnamespace and relkind = 'r'`,
  )
  return Number(rows[0].bytes)
}

/** Text that does not compress, so that its size is its size. */
const noise = (bytes: number) =>
  Buffer.from(Array.from({ length: bytes }, () => 33 + Math.floor(Math.random() * 90))).toString()

test('writes stop at the storage quota, overshot by one request at most, also when many come at once', async () => {
  const quotaBytes = 1_000_000
  const write = () => backend.call(acme, '/rest/v1/docs', { quotaBytes, body: { text: noise(20_000) } })
  const statuses = new Map<number, number>()
  for (let round = 0; round < 8; round++)
    for (const answer of await Promise.all(Array.from({ length: 12 }, write)))
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
  expect([...statuses.keys()].sort()).toEqual([201, 507])
  const used = await size()
  expect(used).toBeGreaterThanOrEqual(quotaBytes)
  // One request: its text in TOAST chunks, and at most a page of each of the table's files that it made grow.
  expect(used).toBeLessThan(quotaBytes + 20_000 * 1.2 + 6 * 8_192)

  const refused = await write()
  expect([refused.status, (refused.json as { code: string }).code]).toEqual([507, 'storage_quota_exceeded'])
  expect((await backend.call(acme, '/rest/v1/docs?select=id&limit=1', { quotaBytes })).status).toBe(200)
  const changed = await backend.call(acme, '/rest/v1/docs?id=eq.1', {
    quotaBytes,
    method: 'PATCH',
    body: { text: 'x' },
  })
  expect(changed.status).toBe(507)
  expect((await backend.call(acme, '/rest/v1/docs?id=eq.1', { quotaBytes, method: 'DELETE' })).status).toBe(204)
  expect((await backend.call(acme, '/rest/v1/docs', { body: { text: 'no quota' } })).status).toBe(201)
})

test('the sampler writes what changed, repeats the rest once a minute, and ends a tenant that is gone with 0', async () => {
  const log = makeLogger('test', 'silent')
  const { host, port, database: name, request_login } = database.record
  const session = new ServerSession({
    target: { host, port, database: name, user: request_login.user, password: 'secret' },
    onSchemaChange: () => {},
    onGap: () => {},
    log,
  })
  session.start()
  await vi.waitFor(() => expect(session.isListening).toBe(true))
  const records: UsageRecord[] = []
  const clock = new ManualClock()
  const sampler = new StorageSampler({
    servers: { all: [{ name: 'shared-9', session, requests: { lastUsedMs: 0 } }] } as unknown as Servers,
    usage: { append: (record) => records.push(record) },
    clock,
    log,
  })
  // The backend under test holds the lock of this database until it ends.
  await vi.waitFor(async () => {
    await database.asAdmin(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'aerodb-backend-session' and pid in
       (select pid from pg_locks where locktype = 'advisory')`,
    )
    await sampler.sample()
    expect(records.length).toBeGreaterThan(0)
  })
  const sampled = () => records.splice(0).filter((record) => record.tenantId === acme.tenantId)
  expect(sampled()).toEqual([
    { kind: 'storage', tenantId: acme.tenantId, completedAtMs: clock.nowMs(), documentsBytes: await size() },
  ])
  await sampler.sample()
  expect(sampled()).toEqual([])
  clock.advance(60_000)
  await sampler.sample()
  expect(sampled()).toHaveLength(1)
  await database.asAdmin(`drop schema ${acme.schema} cascade`)
  await sampler.sample()
  expect(sampled()).toMatchObject([{ documentsBytes: 0 }])
  await session.stop()
})
