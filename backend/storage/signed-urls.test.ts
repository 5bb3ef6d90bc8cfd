import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { localFetch } from './test-support/client.ts'
import { openTwoTenants } from './test-support/two-tenants.ts'

const setting = await openTwoTenants()
const { anon, other, raw, service, tenant, user } = setting

afterAll(() => setting.close())

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
