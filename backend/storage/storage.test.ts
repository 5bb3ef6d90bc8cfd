import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeLogger } from '../../runtime/log.ts'
import { FileBlobStore } from './blobs/file-blob-store.ts'
import { localFetch, storageClient } from './test-support/client.ts'
import { filesBelow, temporaryDirectory } from './test-support/files.ts'
import { StorageServer } from './test-support/storage-server.ts'
import { contextOf, openExecutor, TenantDatabase, type TestTenant } from './test-support/tenant-database.ts'

const log = makeLogger('test', 'silent')
let database: TenantDatabase
let executor: ReturnType<typeof openExecutor>
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let server: StorageServer
let tenant: TestTenant
let other: TestTenant

beforeAll(async () => {
  database = await TenantDatabase.create()
  tenant = await database.createTenant()
  other = await database.createTenant()
  executor = openExecutor(database.address, log)
  directory = await temporaryDirectory()
  server = await StorageServer.start({ executor, blobs: new FileBlobStore(directory.path), log })
  server.add(tenant, other)
})

afterAll(async () => {
  await server?.close()
  await executor?.close()
  await database?.close()
  await directory?.remove()
})

const service = (of = tenant) => storageClient(server, of, 'service')
const anon = (of = tenant) => storageClient(server, of, 'anon')
const user = (subject: string, of = tenant) => storageClient(server, of, `user-${subject}`)
const raw = (path: string, init: RequestInit = {}, key = 'service', of = tenant) =>
  localFetch(server.url(of, path), { ...init, headers: { apikey: key, ...init.headers } })

describe('buckets', () => {
  test('do not exist before the first one is made, and asking makes nothing', async () => {
    expect(await service(other).listBuckets()).toEqual({ data: [], error: null })
    expect((await service(other).getBucket('none')).error).toMatchObject({ status: 404, statusCode: '404' })
    expect((await service(other).from('none').upload('a', 'x')).error).toMatchObject({ code: 'NoSuchBucket' })
    const tables = await database.admin.query('select from pg_tables where schemaname = $1', [other.schema])
    expect(tables.rowCount).toBe(0)
  })

  test('are made, read, listed, changed, emptied and deleted', async () => {
    const storage = service()
    expect(await storage.createBucket('photos', { public: true, fileSizeLimit: '1MB' })).toEqual({
      data: { name: 'photos' },
      error: null,
    })
    expect((await storage.createBucket('photos')).error).toMatchObject({
      statusCode: '409',
      message: expect.any(String),
    })
    const { data } = await storage.getBucket('photos')
    expect(data).toMatchObject({
      id: 'photos',
      name: 'photos',
      public: true,
      file_size_limit: 1_000_000,
      allowed_mime_types: null,
      created_at: expect.stringMatching(/Z$/),
    })
    expect((await storage.listBuckets({ search: 'HOT' })).data?.map((bucket) => bucket.id)).toEqual(['photos'])
    const updated = await storage.updateBucket('photos', { public: false, allowedMimeTypes: ['image/*'] })
    expect(updated.data).toEqual({ message: 'Successfully updated' })
    expect((await storage.getBucket('photos')).data).toMatchObject({
      public: false,
      file_size_limit: 1_000_000,
      allowed_mime_types: ['image/*'],
    })
    await storage.from('photos').upload('a.png', 'x', { contentType: 'image/png' })
    expect((await storage.deleteBucket('photos')).error).toMatchObject({ statusCode: '409' })
    expect((await storage.emptyBucket('photos')).error).toBeNull()
    expect((await storage.deleteBucket('photos')).data).toEqual({ message: 'Successfully deleted' })
    expect((await storage.getBucket('photos')).error?.message).toBe('Bucket not found')
  })

  test('are made by service_role only, and with good names only', async () => {
    expect((await anon().createBucket('mine')).error).toMatchObject({ status: 403 })
    expect((await user('ann').createBucket('mine')).error).toMatchObject({ status: 403 })
    for (const name of ['a/b', '..', '', 'x'.repeat(101), 'snow☃']) {
      expect((await service().createBucket(name)).error, name).toMatchObject({ status: 400 })
    }
  })
})

describe('objects', () => {
  beforeAll(async () => {
    await service().createBucket('files')
  })

  test('are uploaded in each form that storage-js sends, and come back byte by byte', async () => {
    const files = service().from('files')
    const bytes: Uint8Array<ArrayBuffer> = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251)
    const bodies: Record<string, Parameters<typeof files.upload>[1]> = {
      'as-blob.bin': new Blob([bytes], { type: 'application/x-test' }),
      'as-buffer.bin': Buffer.from(bytes),
      'as-array-buffer.bin': bytes.buffer,
      'as-stream.bin': new Blob([bytes]).stream(),
    }
    for (const [name, body] of Object.entries(bodies)) {
      const { data, error } = await files.upload(`forms/${name}`, body, { contentType: 'application/x-test' })
      expect(error, name).toBeNull()
      expect(data).toEqual({ path: `forms/${name}`, id: expect.any(String), fullPath: `files/forms/${name}` })
      const back = await files.download(`forms/${name}`)
      expect(back.data?.type, name).toBe('application/x-test')
      expect(Buffer.from((await back.data?.arrayBuffer()) ?? new ArrayBuffer()).equals(bytes), name).toBe(true)
    }
  })

  test('carry metadata, cache control, encoding and an ETag', async () => {
    const files = service().from('files')
    await files.upload('meta/a.txt', 'hello', {
      cacheControl: '60',
      contentType: 'text/plain',
      contentEncoding: 'x-none',
      metadata: { colour: 'grün' },
    })
    const { data } = await files.info('meta/a.txt')
    expect(data).toMatchObject({
      name: 'meta/a.txt',
      bucketId: 'files',
      size: 5,
      contentType: 'text/plain',
      contentEncoding: 'x-none',
      cacheControl: 'max-age=60',
      etag: '"5d41402abc4b2a76b9719d911017c592"',
      metadata: { colour: 'grün' },
    })
    await files.upload('meta/b.txt', new Blob(['hello']), { metadata: { n: 1 }, cacheControl: '5' })
    expect((await files.info('meta/b.txt')).data).toMatchObject({ metadata: { n: 1 }, cacheControl: 'max-age=5' })
  })

  test('are not overwritten unless asked; an update replaces them', async () => {
    const files = service().from('files')
    await files.upload('once.txt', 'one')
    expect((await files.upload('once.txt', 'two')).error).toMatchObject({
      statusCode: '409',
      code: 'KeyAlreadyExists',
      message: 'The resource already exists',
    })
    expect((await files.upload('once.txt', 'three', { upsert: true })).error).toBeNull()
    expect(await (await files.download('once.txt')).data?.text()).toBe('three')
    expect((await files.update('once.txt', 'four')).error).toBeNull()
    expect(await (await files.download('once.txt')).data?.text()).toBe('four')
  })

  test('exist or do not', async () => {
    const files = service().from('files')
    await files.upload('here.txt', 'x')
    expect((await files.exists('here.txt')).data).toBe(true)
    expect((await files.exists('gone.txt')).data).toBe(false)
    await expect(service().from('nowhere').exists('x')).rejects.toMatchObject({ code: 'NoSuchBucket' })
  })

  test('are moved and copied, within a bucket and to another', async () => {
    await service().createBucket('elsewhere', { public: false, fileSizeLimit: 10 })
    const files = service().from('files')
    await files.upload('from/a.txt', 'moving', { metadata: { kept: true } })
    expect((await files.copy('from/a.txt', 'to/b.txt')).data).toEqual({ path: 'files/to/b.txt' })
    expect((await files.move('from/a.txt', 'to/c.txt')).data).toMatchObject({ message: 'Successfully moved' })
    expect((await files.exists('from/a.txt')).data).toBe(false)
    for (const name of ['to/b.txt', 'to/c.txt']) expect(await (await files.download(name)).data?.text()).toBe('moving')
    expect((await files.info('to/b.txt')).data).toMatchObject({ metadata: { kept: true } })
    expect((await files.move('to/b.txt', 'to/c.txt')).error).toMatchObject({ statusCode: '409' })
    expect((await files.copy('nothing', 'to/d.txt')).error).toMatchObject({ statusCode: '404' })
    expect((await files.move('to/c.txt', 'c.txt', { destinationBucket: 'elsewhere' })).error).toBeNull()
    expect(await (await service().from('elsewhere').download('c.txt')).data?.text()).toBe('moving')
    await files.upload('big.txt', 'more than ten bytes')
    expect((await files.copy('big.txt', 'big.txt', { destinationBucket: 'elsewhere' })).error).toMatchObject({
      statusCode: '413',
    })
    const changed = await files.copy('to/b.txt', 'to/e.json', {
      copyMetadata: false,
      metadata: { mimetype: 'application/json' },
    })
    expect(changed.error).toBeNull()
    expect((await files.info('to/e.json')).data).toMatchObject({ contentType: 'application/json', metadata: null })
  })

  test('are removed one by one and many at once, and their files with them', async () => {
    const files = service().from('files')
    await server.api.services.background.drain()
    const before = await filesBelow(directory.path)
    for (const name of ['x/1', 'x/2', 'x/3']) await files.upload(name, name)
    expect(await filesBelow(directory.path)).toHaveLength(before.length + 3)
    const { data } = await files.remove(['x/1', 'x/2', 'x/missing'])
    expect(data?.map((object) => object.name).sort()).toEqual(['x/1', 'x/2'])
    const one = await raw('/object/files/x/3', { method: 'DELETE' })
    expect([one.status, await one.json()]).toEqual([200, { message: 'Successfully deleted' }])
    expect((await raw('/object/files/x/3', { method: 'DELETE' })).status).toBe(404)
    await server.api.services.background.drain()
    expect(await filesBelow(directory.path)).toEqual(before)
  })

  test('respect the limits of their bucket', async () => {
    await service().createBucket('small', {
      public: false,
      fileSizeLimit: 5,
      allowedMimeTypes: ['image/*', 'text/plain'],
    })
    const small = service().from('small')
    expect((await small.upload('a.txt', '12345')).error).toBeNull()
    for (const body of ['123456', new Blob(['123456'], { type: 'text/plain' })])
      expect((await small.upload('b.txt', body)).error).toMatchObject({ statusCode: '413', code: 'EntityTooLarge' })
    expect((await small.upload('c.html', '1', { contentType: 'text/html' })).error).toMatchObject({
      statusCode: '415',
      code: 'InvalidMimeType',
    })
    expect((await small.list()).data?.map((object) => object.name)).toEqual(['a.txt'])
  })
})

describe('a download', () => {
  beforeAll(async () => {
    await service().createBucket('web', { public: true })
    await service()
      .from('web')
      .upload('page/digits.txt', '0123456789', { contentType: 'text/plain', cacheControl: '60' })
    await service().from('web').upload('evil.html', '<script>', { contentType: 'text/html' })
    await service().from('web').upload('empty', '')
  })

  test('of a range gives the range', async () => {
    const read = async (range: string, extra = {}) => {
      const response = await raw('/object/web/page/digits.txt', { headers: { range, ...extra } })
      return [response.status, response.headers.get('content-range'), await response.text()]
    }
    expect(await read('bytes=2-4')).toEqual([206, 'bytes 2-4/10', '234'])
    expect(await read('bytes=7-')).toEqual([206, 'bytes 7-9/10', '789'])
    expect(await read('bytes=-2')).toEqual([206, 'bytes 8-9/10', '89'])
    expect(await read('bytes=0-99')).toEqual([206, 'bytes 0-9/10', '0123456789'])
    expect((await read('bytes=10-')).slice(0, 2)).toEqual([416, 'bytes */10'])
    expect(await read('bytes=4-2')).toEqual([200, null, '0123456789'])
    expect(await read('bytes=2-4', { 'if-range': '"other"' })).toEqual([200, null, '0123456789'])
    expect(await (await raw('/object/web/empty')).text()).toBe('')
  })

  test('is conditional, named, and answers HEAD', async () => {
    const head = await raw('/object/web/page/digits.txt', { method: 'HEAD' })
    const etag = head.headers.get('etag') ?? ''
    expect([head.status, head.headers.get('content-length'), head.headers.get('accept-ranges')]).toEqual([
      200,
      '10',
      'bytes',
    ])
    const ranged = await raw('/object/web/page/digits.txt', { method: 'HEAD', headers: { range: 'bytes=1-2' } })
    expect([ranged.status, ranged.headers.get('content-length')]).toEqual([200, '10'])
    expect((await raw('/object/web/page/digits.txt', { headers: { 'if-none-match': etag } })).status).toBe(304)
    expect((await raw('/object/web/page/digits.txt', { headers: { 'if-match': '"x"' } })).status).toBe(412)
    const since = head.headers.get('last-modified') ?? ''
    expect((await raw('/object/web/page/digits.txt', { headers: { 'if-modified-since': since } })).status).toBe(304)
    const named = await raw('/object/web/page/digits.txt?download=r%C3%A9sum%C3%A9.txt')
    expect(named.headers.get('content-disposition')).toBe(
      `attachment; filename="r_sum_.txt"; filename*=UTF-8''r%C3%A9sum%C3%A9.txt`,
    )
    const plain = await raw('/object/web/page/digits.txt?download=')
    expect(plain.headers.get('content-disposition')).toBe('attachment; filename="digits.txt"')
  })

  test('by the public path needs no rights, and works in public buckets only', async () => {
    const { publicUrl } = anon().from('web').getPublicUrl('page/digits.txt').data
    const response = await localFetch(publicUrl, {})
    expect([response.status, response.headers.get('cache-control'), await response.text()]).toEqual([
      200,
      'max-age=60',
      '0123456789',
    ])
    expect((await raw('/object/web/page/digits.txt')).headers.get('cache-control')).toBe('private, max-age=60')
    expect((await raw('/object/public/files/once.txt', {}, 'anon')).status).toBe(404)
    expect((await anon().from('web').download('page/digits.txt')).error).toMatchObject({ statusCode: '404' })
    expect((await raw('/object/info/public/web/page/digits.txt', {}, 'anon')).status).toBe(200)
  })

  test('never runs as a page of the tenant', async () => {
    const response = await raw('/object/public/web/evil.html', {}, 'anon')
    expect(response.headers.get('content-security-policy')).toBe('sandbox')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  })

  test('is not transformed, and says so', async () => {
    const { error } = await service()
      .from('web')
      .download('page/digits.txt', { transform: { width: 10 } })
    expect(error).toMatchObject({ status: 501, code: 'ImageTransformationUnavailable' })
  })
})

describe('lists', () => {
  beforeAll(async () => {
    await service().createBucket('tree')
    const names = ['b.txt', 'a.txt', 'C.txt', 'd/1', 'd/2', 'd/deep/er/3', 'd0', 'e/1', 'e-f/1', 'ab/x', 'ünï/ö']
    for (const name of names) await service().from('tree').upload(name, name)
  })

  test('show one folder: its folders first, then its objects', async () => {
    const tree = service().from('tree')
    const names = async (...args: Parameters<typeof tree.list>) => (await tree.list(...args)).data?.map((o) => o.name)
    expect(await names()).toEqual(['ab', 'd', 'e', 'e-f', 'ünï', 'C.txt', 'a.txt', 'b.txt', 'd0'])
    expect(await names('d')).toEqual(['deep', '1', '2'])
    expect(await names('d/')).toEqual(['deep', '1', '2'])
    expect(await names('d/deep')).toEqual(['er'])
    expect(await names('d/deep/er')).toEqual(['3'])
    expect(await names('nothing')).toEqual([])
    expect(await names('', { search: 'A' })).toEqual(['ab', 'a.txt'])
    expect(await names('', { search: '%' })).toEqual([])
    expect(await names('', { limit: 2, offset: 4 })).toEqual(['ünï', 'C.txt'])
    expect(await names('', { sortBy: { column: 'name', order: 'desc' }, limit: 3 })).toEqual(['ünï', 'e-f', 'e'])
    expect(await names('d', { sortBy: { column: 'created_at', order: 'desc' } })).toEqual(['deep', '2', '1'])
    const { data } = await tree.list('d')
    expect(data?.[0]).toMatchObject({ name: 'deep', id: null, metadata: null })
    expect(data?.[1]).toMatchObject({ id: expect.any(String), metadata: { size: 3, mimetype: expect.any(String) } })
    expect((await service().from('no-such').list()).error).toMatchObject({ statusCode: '404' })
  })

  test.each([{ column: 'name' as const }, { column: 'created_at' as const }, { column: 'updated_at' as const }])(
    'page through everything by cursor, each entry once, by $column',
    async ({ column }) => {
      const tree = service().from('tree')
      for (const order of ['asc', 'desc'] as const) {
        for (const with_delimiter of [false, true]) {
          const objects: string[] = []
          const folders: string[] = []
          let cursor: string | undefined
          for (let page = 0; page < 20; page++) {
            const { data, error } = await tree.listV2({
              limit: 2,
              with_delimiter,
              sortBy: { column, order },
              ...(cursor === undefined ? {} : { cursor }),
            })
            expect(error).toBeNull()
            objects.push(...(data?.objects.map((object) => object.name) ?? []))
            folders.push(...(data?.folders.map((folder) => folder.name) ?? []))
            cursor = data?.nextCursor
            if (data?.hasNext !== true) break
          }
          expect([objects.length, folders.length]).toEqual(with_delimiter ? [4, 5] : [11, 0])
          expect(new Set([...objects, ...folders]).size).toBe(with_delimiter ? 9 : 11)
          if (column === 'name')
            expect(objects).toEqual(order === 'asc' ? [...objects].sort() : [...objects].sort().reverse())
        }
      }
    },
  )

  test('take a prefix in the newer form', async () => {
    const tree = service().from('tree')
    const flat = await tree.listV2({ prefix: 'd/' })
    expect(flat.data?.objects.map((object) => object.name)).toEqual(['d/1', 'd/2', 'd/deep/er/3'])
    const level = await tree.listV2({ prefix: 'd/', with_delimiter: true })
    expect(level.data?.folders).toEqual([{ name: 'd/deep', key: 'd/deep' }])
    expect(level.data?.objects.map((object) => object.name)).toEqual(['d/1', 'd/2'])
    const part = await tree.listV2({ prefix: 'e', with_delimiter: true })
    expect(part.data?.folders.map((folder) => folder.name)).toEqual(['e', 'e-f'])
    expect((await tree.listV2({ cursor: 'forged' })).error).toMatchObject({ status: 400 })
  })
})

describe('a signed URL', () => {
  const token = (url: string) => new URL(url).searchParams.get('token') ?? ''

  beforeAll(async () => {
    await service().createBucket('private')
    await service().from('private').upload('dir/my file.txt', 'secret')
    await service().from('private').upload('other.txt', 'other')
    await service(other).createBucket('private')
    await service(other).from('private').upload('dir/my file.txt', 'not yours')
  })

  test('opens its object to whoever holds it', async () => {
    const { data, error } = await service()
      .from('private')
      .createSignedUrl('dir/my file.txt', 60, { download: 'x.txt' })
    expect(error).toBeNull()
    const response = await localFetch(data?.signedUrl ?? '', {})
    expect([response.status, await response.text()]).toEqual([200, 'secret'])
    expect(response.headers.get('content-disposition')).toContain('x.txt')
    expect(response.headers.get('cache-control')).toMatch(/^max-age=(59|60)$/)
    const many = await service().from('private').createSignedUrls(['other.txt', 'missing'], 60)
    expect(many.data?.map((entry) => [entry.path, entry.error === null])).toEqual([
      ['other.txt', true],
      ['missing', false],
    ])
    expect(await (await localFetch(many.data?.[0]?.signedUrl ?? '', {})).text()).toBe('other')
  })

  test('opens nothing else: no other object, bucket, tenant, method, time or text', async () => {
    const { data } = await service().from('private').createSignedUrl('other.txt', 60)
    const good = token(data?.signedUrl ?? '')
    const upload = await service().from('private').createSignedUploadUrl('other2.txt')
    const get = (path: string, given: string, of = tenant) =>
      raw(`/object/sign/${path}?token=${given}`, {}, 'anon', of).then((response) => response.status)
    expect(await get('private/other.txt', good)).toBe(200)
    expect(await get('private/dir/my%20file.txt', good)).toBe(400)
    expect(await get('files/other.txt', good)).toBe(400)
    expect(await get('private/other.txt', good, other)).toBe(400)
    expect(await get('private/other2.txt', upload.data?.token ?? '')).toBe(400)
    expect(await get('private/other.txt', `${good.slice(0, -2)}xx`)).toBe(400)
    expect(await get('private/other.txt', '')).toBe(400)
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1]}.`
    expect(await get('private/other.txt', unsigned)).toBe(400)
    const put = await raw(`/object/upload/sign/private/other.txt?token=${good}`, { method: 'PUT', body: 'x' }, 'anon')
    expect(put.status).toBe(400)
  })

  test('is given only to who may read the object', async () => {
    expect((await anon().from('private').createSignedUrl('other.txt', 60)).error).toMatchObject({ statusCode: '404' })
    expect((await user('ann').from('private').createSignedUrl('other.txt', 60)).error).toMatchObject({
      statusCode: '404',
    })
    expect((await service().from('private').createSignedUrl('missing', 60)).error).toMatchObject({ statusCode: '404' })
  })

  test('takes an upload with the rights of who signed it', async () => {
    const signed = await user('ann').from('private').createSignedUploadUrl('ann/up.txt')
    expect(signed.error).toBeNull()
    const { path, token: given } = signed.data ?? { path: '', token: '' }
    expect((await anon().from('private').uploadToSignedUrl(path, given, 'by ann')).error).toBeNull()
    expect((await anon().from('private').uploadToSignedUrl(path, given, 'again')).error).toMatchObject({
      statusCode: '409',
    })
    expect(await (await user('ann').from('private').download('ann/up.txt')).data?.text()).toBe('by ann')
    const moved = await anon().from('private').uploadToSignedUrl('ann/elsewhere.txt', given, 'x')
    expect(moved.error).toMatchObject({ status: 400 })
    // ben may sign for a name he cannot see, but not replace what is there.
    const theft = await user('ben').from('private').createSignedUploadUrl('ann/up.txt', { upsert: true })
    const stolen = await anon()
      .from('private')
      .uploadToSignedUrl('ann/up.txt', theft.data?.token ?? '', 'by ben')
    expect(stolen.error).toMatchObject({ status: 403 })
    expect(await (await user('ann').from('private').download('ann/up.txt')).data?.text()).toBe('by ann')
  })
})

describe('policies', () => {
  test('owner: signed-in users have their own objects and nothing else', async () => {
    await service().createBucket('home')
    const [ann, ben] = [user('ann').from('home'), user('ben').from('home')]
    expect((await ann.upload('a.txt', 'ann')).error).toBeNull()
    expect((await ben.upload('b.txt', 'ben')).error).toBeNull()
    expect((await ann.list()).data?.map((object) => object.name)).toEqual(['a.txt'])
    expect((await ben.download('a.txt')).error).toMatchObject({ statusCode: '404' })
    expect((await ben.upload('a.txt', 'x', { upsert: true })).error).toMatchObject({ statusCode: '403' })
    expect((await ben.upload('a.txt', 'x')).error).toMatchObject({ statusCode: '409' })
    expect((await ben.remove(['a.txt'])).data).toEqual([])
    expect((await ben.move('a.txt', 'c.txt')).error).toMatchObject({ statusCode: '404' })
    expect((await ben.copy('a.txt', 'c.txt')).error).toMatchObject({ statusCode: '404' })
    expect((await anon().from('home').upload('x', 'x')).error).toMatchObject({ statusCode: '404' })
    expect((await anon().from('home').list()).error).toMatchObject({ statusCode: '404' })
    expect((await service().from('home').list()).data).toHaveLength(2)
    expect((await ann.update('a.txt', 'again')).error).toBeNull()
    expect((await ann.remove(['a.txt'])).data).toHaveLength(1)
  })

  test('public_read: everybody reads, owners write; none: everybody does everything', async () => {
    const make = (id: string, policy: string) =>
      raw('/bucket', {
        method: 'POST',
        body: JSON.stringify({ id, name: id, policy }),
        headers: { 'content-type': 'application/json' },
      })
    expect((await make('shared', 'public_read')).status).toBe(200)
    expect((await make('open', 'none')).status).toBe(200)
    expect((await make('odd', 'everyone')).status).toBe(400)
    const shared = (key: string) => storageClient(server, tenant, key).from('shared')
    expect((await shared('user-ann').upload('a.txt', 'ann')).error).toBeNull()
    expect(await (await shared('anon').download('a.txt')).data?.text()).toBe('ann')
    expect((await shared('anon').upload('x.txt', 'x')).error).toMatchObject({ statusCode: '403' })
    expect((await shared('user-ben').upload('a.txt', 'x', { upsert: true })).error).toMatchObject({ statusCode: '403' })
    expect((await shared('user-ben').remove(['a.txt'])).data).toEqual([])
    expect((await shared('user-ben').move('a.txt', 'b.txt')).error).toMatchObject({ statusCode: '403' })
    const open = (key: string) => storageClient(server, tenant, key).from('open')
    expect((await open('anon').upload('a.txt', 'x')).error).toBeNull()
    expect((await open('user-ann').upload('a.txt', 'y', { upsert: true })).error).toBeNull()
    expect((await open('anon').remove(['a.txt'])).data).toHaveLength(1)
    expect((await anon().listBuckets()).data?.map((bucket) => bucket.id)).toEqual(['open', 'shared'])
  })

  test("a tenant never reaches another's files, whatever the names", async () => {
    expect((await service(other).listBuckets()).data?.map((bucket) => bucket.id)).toEqual(['private'])
    expect((await service(other).from('files').download('here.txt')).error).toMatchObject({ statusCode: '404' })
    expect((await raw('/object/public/web/page/digits.txt', {}, 'anon', other)).status).toBe(404)
  })

  test('hold in the database too: both walls are on every table', async () => {
    const tables = await database.admin.query(
      `select c.relname, c.relforcerowsecurity as forced,
         (select count(*)::int from pg_policy p where p.polrelid = c.oid and not p.polpermissive) as walls
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = $1 and c.relkind = 'r' order by 1`,
      [tenant.schema],
    )
    expect(tables.rows).toEqual(
      ['_storage_buckets', '_storage_objects', '_storage_pending_blobs', '_storage_uploads', '_storage_usage'].map(
        (relname) => ({ relname, forced: true, walls: 2 }),
      ),
    )
  })

  test('and to no other way to rows do the tables show anything, whatever the role', async () => {
    const { principal } = server.api.openSession(contextOf(tenant, 'service_role'))
    for (const table of ['buckets', 'objects', 'uploads', 'pending_blobs', 'usage']) {
      const name = `${tenant.schema}._storage_${table}`
      const read = await executor.run('test', principal, [{ text: `select count(*) from ${name}`, values: [] }])
      expect(read.rows).toEqual([['0']])
      const change = { text: `delete from ${name}`, values: [] }
      expect((await executor.run('test', principal, [change])).affectedRows).toBe(0)
    }
    const insert = { text: `insert into ${tenant.schema}._storage_buckets (id) values ('forged')`, values: [] }
    await expect(executor.run('test', principal, [insert])).rejects.toMatchObject({ code: '42501' })
  })
})

describe('hostile addresses', () => {
  test('name nothing outside, and are refused as Supabase refuses them', async () => {
    const bad = [
      '..%2f..%2fetc%2fpasswd',
      '%2e%2e%2fx',
      'a%00b',
      '%ff',
      'a%5cb',
      'a%0d%0ab',
      'x'.repeat(1_025),
      '%E2%80%AEx',
    ]
    for (const name of bad) {
      for (const method of ['GET', 'POST', 'DELETE']) {
        const response = await raw(`/object/files/${name}`, { method, ...(method === 'POST' ? { body: 'x' } : {}) })
        expect([response.status, ((await response.json()) as { code: string }).code], `${method} ${name}`).toEqual([
          400,
          'InvalidKey',
        ])
      }
    }
    expect((await raw('/object/%2e%2e%2ffiles/x')).status).toBe(400)
    expect((await raw('/nothing/here')).status).toBe(404)
    const inBody = await raw('/object/move', {
      method: 'POST',
      body: JSON.stringify({ bucketId: 'files', sourceKey: 'here.txt', destinationKey: '../../x' }),
    })
    expect(inBody.status).toBe(400)
    const listed = await raw('/object/list/files', { method: 'POST', body: '{"prefix":"\\u0000"}' })
    expect(listed.status).toBe(400)
  })

  test('that differ in case, slashes or Unicode form are different names', async () => {
    const files = service().from('files')
    const names = [
      'Case/x',
      'case/x',
      '/lead',
      'lead',
      'é-nfc',
      'e\u0301-nfc'.normalize('NFD'),
      'a//b',
      'a/b',
      '👩‍👩‍👧.png',
    ]
    for (const name of names)
      expect((await raw(`/object/files/${encodeURIComponent(name)}`, { method: 'POST', body: name })).status).toBe(200)
    for (const name of names) {
      const response = await raw(`/object/files/${encodeURIComponent(name)}`)
      expect(await response.text(), name).toBe(name)
    }
    await files.remove(names)
    await server.api.services.background.drain()
    for (const path of await filesBelow(directory.path))
      expect(path).toMatch(/^ten_\w{26}\/[0-9a-f]{2}\/[0-9a-f-]{36}$/)
  })

  test('and bodies are answered with a problem that is also Supabase’s', async () => {
    const response = await raw('/object/files/none')
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toMatchObject({
      type: expect.stringContaining('NoSuchKey'),
      status: 404,
      code: 'NoSuchKey',
      request_id: 'test-request',
      statusCode: '404',
      error: 'not_found',
      message: 'Object not found',
    })
    for (const body of ['{', '[]', '{"prefixes":[]}', '{"prefixes":"x"}'])
      expect((await raw('/object/files', { method: 'DELETE', body })).status, body).toBe(400)
    const noFile = new FormData()
    noFile.append('cacheControl', '1')
    expect((await raw('/object/files/form', { method: 'POST', body: noFile })).status).toBe(400)
    const broken = await raw('/object/files/form', {
      method: 'POST',
      body: 'not a form',
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
    })
    expect(broken.status).toBe(400)
  })
})
