import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { localFetch } from './test-support/client.ts'
import { openTwoTenants } from './test-support/two-tenants.ts'

const setting = await openTwoTenants()
const { anon, raw, service } = setting

afterAll(() => setting.close())

beforeAll(async () => {
  await service().createBucket('files')
  await service().from('files').upload('once.txt', 'x')
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
