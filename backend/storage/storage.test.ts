import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTwoTenants } from './test-support/two-tenants.ts'

const setting = await openTwoTenants()
const { anon, blobs, database, other, raw, service, user } = setting

afterAll(() => setting.close())

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
    const before = await blobs()
    for (const name of ['x/1', 'x/2', 'x/3']) await files.upload(name, name)
    expect(await blobs()).toHaveLength(before.length + 3)
    const { data } = await files.remove(['x/1', 'x/2', 'x/missing'])
    expect(data?.map((object) => object.name).sort()).toEqual(['x/1', 'x/2'])
    const one = await raw('/object/files/x/3', { method: 'DELETE' })
    expect([one.status, await one.json()]).toEqual([200, { message: 'Successfully deleted' }])
    expect((await raw('/object/files/x/3', { method: 'DELETE' })).status).toBe(404)
    expect(await blobs()).toEqual(before)
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
