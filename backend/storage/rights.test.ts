import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { storageClient } from './test-support/client.ts'
import { contextOf } from './test-support/tenant-database.ts'
import { openTwoTenants } from './test-support/two-tenants.ts'

const setting = await openTwoTenants()
const { anon, blobs, database, executor, other, raw, server, service, tenant, user } = setting

afterAll(() => setting.close())

beforeAll(async () => {
  await service().createBucket('files')
  await service().from('files').upload('here.txt', 'x')
  await service().createBucket('web', { public: true })
  await service().from('web').upload('page/digits.txt', '0123456789')
  await service(other).createBucket('private')
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
    for (const path of await blobs()) expect(path).toMatch(/^ten_\w{26}\/[0-9a-f]{2}\/[0-9a-f-]{36}$/)
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
