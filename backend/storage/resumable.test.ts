import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { DefaultHttpStack, Upload } from 'tus-js-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ManualClock } from '../../runtime/clock.ts'
import { makeLogger } from '../../runtime/log.ts'
import { FileBlobStore } from './blobs/file-blob-store.ts'
import { sweepTenant } from './steps/sweep.ts'
import { localFetch, storageClient } from './test-support/client.ts'
import { type Fixture, openFixture, waitFor } from './test-support/fixture.ts'
import { StorageServer } from './test-support/storage-server.ts'
import { openExecutor } from './test-support/tenant-database.ts'

let fixture: Fixture
const clock = new ManualClock(Date.now())

beforeAll(async () => {
  fixture = await openFixture({ clock })
})
afterAll(() => fixture?.close())

const PLAIN = '/upload/resumable'
const VERSION = { 'tus-resumable': '1.0.0' }
const metadata = (name: string, more: Record<string, string> = {}) =>
  Object.entries({ bucketName: 'files', objectName: name, ...more })
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',')

const call = (method: string, path: string, headers: Record<string, string> = {}, body?: string, key = 'service') =>
  localFetch(fixture.server.url(fixture.tenant, path), {
    method,
    headers: { apikey: key, ...VERSION, ...headers },
    ...(body === undefined ? {} : { body }),
  })
const create = (name: string, length: number, headers: Record<string, string> = {}, key = 'service') =>
  call(
    'POST',
    PLAIN,
    { 'upload-length': String(length), 'upload-metadata': metadata(name), ...headers },
    undefined,
    key,
  )
const pathOf = (response: Response) => (response.headers.get('location') ?? '').replace('/storage/v1', '')
const patch = (path: string, offset: number, body: string, headers = {}, key = 'service') =>
  call(
    'PATCH',
    path,
    { 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream', ...headers },
    body,
    key,
  )
const used = async () =>
  fixture.row('select files_bytes::int as files, reserved_bytes::int as reserved from $schema._storage_usage')

test('tus-js-client uploads in chunks, is interrupted, and goes on', async () => {
  const bytes = randomBytes(1_000_000)
  let interrupted = false
  const run = (resume: string | undefined) =>
    new Promise<string | undefined>((resolve, reject) => {
      const upload: Upload = new Upload(bytes, {
        endpoint: fixture.server.url(fixture.tenant, PLAIN),
        // The test's host names are the loopback address.
        httpStack: new DefaultHttpStack({
          lookup: (_: string, options: { all?: boolean }, done: (...args: unknown[]) => void) =>
            options.all === true ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
        }),
        ...(resume === undefined ? {} : { uploadUrl: resume }),
        headers: { apikey: 'service' },
        metadata: {
          bucketName: 'files',
          objectName: 'tus/a.bin',
          contentType: 'application/x-test',
          cacheControl: '60',
        },
        chunkSize: 300_000,
        retryDelays: [],
        onError: reject,
        onSuccess: () => resolve(undefined),
        onChunkComplete: (_size, accepted) => {
          if (interrupted || accepted < 600_000) return
          interrupted = true
          void upload.abort().then(() => resolve(upload.url ?? undefined))
        },
      })
      upload.start()
    })
  const url = await run(undefined)
  expect(url).toMatch(/\/storage\/v1\/upload\/resumable\//)
  expect((await fixture.files().exists('tus/a.bin')).data).toBe(false)
  expect(await used()).toEqual({ files: 0, reserved: 1_000_000 })
  expect(await run(url)).toBeUndefined()
  const { data } = await fixture.files().download('tus/a.bin')
  expect(data?.type).toBe('application/x-test')
  expect(Buffer.from((await data?.arrayBuffer()) ?? new ArrayBuffer()).equals(bytes)).toBe(true)
  expect((await fixture.files().info('tus/a.bin')).data).toMatchObject({ size: 1_000_000, cacheControl: 'max-age=60' })
  expect(await used()).toEqual({ files: 1_000_000, reserved: 0 })
  const range = await call('GET', '/object/files/tus/a.bin', { range: 'bytes=299990-600010' })
  expect(Buffer.from(await range.arrayBuffer()).equals(bytes.subarray(299_990, 600_011))).toBe(true)
  await fixture.files().copy('tus/a.bin', 'tus/b.bin')
  await fixture.files().remove(['tus/a.bin'])
  const copy = await fixture.files().download('tus/b.bin')
  expect(Buffer.from((await copy.data?.arrayBuffer()) ?? new ArrayBuffer()).equals(bytes)).toBe(true)
  await fixture.files().remove(['tus/b.bin'])
  expect(await fixture.blobs()).toEqual([])
})

test('the protocol answers as its specification says', async () => {
  const options = await call('OPTIONS', PLAIN)
  expect([options.status, options.headers.get('tus-version')]).toEqual([204, '1.0.0'])
  expect(options.headers.get('tus-extension')).toContain('termination')
  const created = await create('spec', 10)
  expect([created.status, created.headers.get('upload-offset')]).toEqual([201, '0'])
  expect(created.headers.get('upload-expires')).toMatch(/GMT$/)
  const path = pathOf(created)
  expect((await patch(path, 0, 'abcde')).status).toBe(204)
  const head = await call('HEAD', path)
  expect([head.headers.get('upload-offset'), head.headers.get('upload-length')]).toEqual(['5', '10'])
  expect([head.headers.get('cache-control'), head.headers.get('tus-resumable')]).toEqual(['no-store', '1.0.0'])
  expect(head.headers.get('upload-metadata')).toContain(`objectName ${btoa('spec')}`)
  expect((await patch(path, 4, 'x')).status).toBe(409)
  expect((await patch(path, 5, 'too long for it')).status).toBe(413)
  expect((await patch(path, 5, 'x', { 'content-type': 'text/plain' })).status).toBe(415)
  expect((await call('HEAD', path, { 'tus-resumable': '0.2.2' })).status).toBe(412)
  expect((await call('HEAD', `${PLAIN}/unknown`)).status).toBe(404)
  const override = await call(
    'POST',
    path,
    { 'x-http-method-override': 'PATCH', 'upload-offset': '5', 'content-type': 'application/offset+octet-stream' },
    'fghij',
  )
  expect([override.status, override.headers.get('upload-offset')]).toEqual([204, '10'])
  expect(await (await fixture.files().download('spec')).data?.text()).toBe('abcdefghij')
  expect((await call('HEAD', path)).headers.get('upload-offset')).toBe('10')
  for (const headers of [
    { 'upload-length': '' },
    { 'upload-length': '-1' },
    { 'upload-metadata': 'bad data here' },
    { 'upload-metadata': metadata('../x') },
  ])
    expect((await create('bad', 1, headers)).status).toBe(400)
  expect((await create('spec', 1)).status).toBe(409)
  expect((await create('spec', 1, { 'x-upsert': 'true' })).status).toBe(201)
  expect((await create('nothing', 0)).status).toBe(201)
  expect((await fixture.files().info('nothing')).data).toMatchObject({ size: 0 })
  const withBody = await call(
    'POST',
    PLAIN,
    { 'upload-length': '3', 'upload-metadata': metadata('at once'), 'content-type': 'application/offset+octet-stream' },
    'abc',
  )
  expect([withBody.status, withBody.headers.get('upload-offset')]).toEqual([201, '3'])
  expect((await fixture.files().exists('at once')).data).toBe(true)
  await fixture.files().remove(['spec', 'nothing', 'at once'])
})

test('what arrived before the connection broke off counts', async () => {
  const path = pathOf(await create('broken', 1_000_000))
  const controller = new AbortController()
  const endless = Readable.toWeb(
    Readable.from(
      (async function* () {
        yield Buffer.alloc(100_000)
        await new Promise(() => {})
      })(),
    ),
  )
  const sending = localFetch(fixture.server.url(fixture.tenant, path), {
    method: 'PATCH',
    headers: { apikey: 'service', ...VERSION, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
    body: endless as unknown as ReadableStream,
    duplex: 'half',
    signal: controller.signal,
  } as RequestInit).catch(() => {})
  await waitFor(
    async () => (await fixture.row('select count(*)::int as n from $schema._storage_pending_blobs'))?.n === 1,
  )
  // Another request for the upload ends the one that hangs, and is told what it has written.
  await waitFor(async () => Number((await call('HEAD', path)).headers.get('upload-offset')) === 100_000)
  controller.abort()
  await sending
  expect((await call('DELETE', path)).status).toBe(204)
  expect((await call('HEAD', path)).status).toBe(404)
})

test('its length is reserved in the quota from the start, and freed when it ends', async () => {
  fixture.server.quotas.set(fixture.tenant.tenantId, 1_000)
  const before = await used()
  const reserved = Number(before?.reserved)
  const path = pathOf(await create('reserved', 1_000 - reserved))
  expect((await fixture.files().upload('small', 'x')).error).toMatchObject({ status: 507 })
  expect((await create('more', 1)).status).toBe(507)
  await patch(path, 0, 'abc')
  expect((await call('DELETE', path)).status).toBe(204)
  expect(await used()).toEqual(before)
  expect(await fixture.blobs()).toEqual([])
  fixture.server.quotas.delete(fixture.tenant.tenantId)
})

test('ends with its bucket, and frees what it had reserved', async () => {
  const storage = storageClient(fixture.server, fixture.tenant, 'service')
  await storage.createBucket('brief')
  const before = await used()
  const path = pathOf(await create('x', 10, { 'upload-metadata': metadata('x', { bucketName: 'brief' }) }))
  await patch(path, 0, 'abc')
  expect((await storage.deleteBucket('brief')).error).toBeNull()
  expect((await call('HEAD', path)).status).toBe(404)
  expect(await used()).toEqual(before)
})

test('of two writers at one offset in two processes one wins', async () => {
  const path = pathOf(await create('race', 4))
  const log = makeLogger('test', 'silent')
  const executor = openExecutor(fixture.database.address, log)
  const second = await StorageServer.start({ executor, blobs: new FileBlobStore(fixture.directory), log })
  second.add(fixture.tenant)
  try {
    const write = (server: StorageServer, body: string) =>
      localFetch(server.url(fixture.tenant, path), {
        method: 'PATCH',
        body,
        headers: {
          apikey: 'service',
          ...VERSION,
          'upload-offset': '0',
          'content-type': 'application/offset+octet-stream',
        },
      })
    const answers = await Promise.all([write(fixture.server, 'aaaa'), write(second, 'bbbb')])
    expect(answers.map((answer) => answer.status).sort()).toEqual([204, 409])
    const winner = answers[0]?.status === 204 ? 'aaaa' : 'bbbb'
    expect(await (await fixture.files().download('race')).data?.text()).toBe(winner)
    await fixture.files().remove(['race'])
  } finally {
    await second.close()
    await executor.close()
  }
})

test('an upload is its maker’s, or who holds a signed token for its very place', async () => {
  const path = pathOf(await create('ann/own', 3, {}, 'user-ann'))
  expect((await patch(path, 0, 'abc', {}, 'user-ben')).status).toBe(404)
  expect((await call('DELETE', path, {}, undefined, 'user-ben')).status).toBe(404)
  expect((await patch(path, 0, 'abc', {}, 'user-ann')).status).toBe(204)
  expect((await create('x', 1, {}, 'anon')).status).toBe(404)
  const ann = storageClient(fixture.server, fixture.tenant, 'user-ann').from('files')
  const token = (await ann.createSignedUploadUrl('ann/signed')).data?.token ?? ''
  const make = (name: string, signature: string) =>
    call(
      'POST',
      `${PLAIN}/sign`,
      { 'upload-length': '2', 'upload-metadata': metadata(name), 'x-signature': signature },
      undefined,
      'anon',
    )
  expect((await make('ann/other', token)).status).toBe(400)
  expect((await make('ann/signed', 'forged')).status).toBe(400)
  const signedPath = pathOf(await make('ann/signed', token))
  expect(signedPath).toMatch(/^\/upload\/resumable\/sign\//)
  expect((await patch(signedPath, 0, 'ok', {}, 'anon')).status).toBe(404)
  expect((await patch(signedPath, 0, 'ok', { 'x-signature': token }, 'anon')).status).toBe(204)
  expect(await (await ann.download('ann/signed')).data?.text()).toBe('ok')
  await fixture.files().remove(['ann/own', 'ann/signed'])
})

test('an upload that is not finished in a day is gone, with its parts and its reservation', async () => {
  const path = pathOf(await create('abandoned', 10))
  await patch(path, 0, 'abc')
  clock.advance(25 * 3_600_000)
  const { services } = fixture.server.api
  await sweepTenant(services, fixture.server.api.openSession(fixture.context()))
  expect((await call('HEAD', path)).status).toBe(404)
  expect(await used()).toEqual({ files: 0, reserved: 0 })
  expect(await fixture.blobs()).toEqual([])
})
