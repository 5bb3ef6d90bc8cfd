import { afterAll, beforeAll, expect, test } from 'vitest'
import { TenantDatabase, type TestTenant } from '../test-support/tenant-database.ts'
import { TestBackend } from '../test-support/test-backend.ts'

let database: TenantDatabase
let backend: TestBackend
let acme: TestTenant
let globex: TestTenant

beforeAll(async () => {
  database = await TenantDatabase.create()
  acme = await database.addTenant('acme')
  globex = await database.addTenant('globex')
  backend = await TestBackend.start([database.record])
  for (const tenant of [acme, globex]) {
    const made = await backend.call(tenant, '/schema/v1/collections', {
      body: {
        name: 'todos',
        columns: [
          { name: 'title', type: 'text', nullable: false },
          { name: 'done', type: 'boolean', default: false },
          { name: 'slug', type: 'text', unique: true },
          { name: 'meta', type: 'jsonb' },
          { name: 'tags', type: 'text[]' },
        ],
      },
    })
    expect(made.status).toBe(201)
  }
})

afterAll(async () => {
  await backend?.stop()
  await database?.drop()
})

test('a request without a signed context is 401, with a forged one too', async () => {
  const bare = await fetch(`${backend.url}/rest/v1/todos`)
  expect(bare.status).toBe(401)
  expect(bare.headers.get('content-type')).toBe('application/problem+json')
  const forged = await fetch(`${backend.url}/rest/v1/todos`, { headers: { 'x-aerodb-context': 'e30.AAAA' } })
  expect(forged.status).toBe(401)
})

test('rows are inserted, read, changed and deleted', async () => {
  const made = await backend.call(acme, '/rest/v1/todos', {
    body: { title: 'first', slug: 'one', meta: { a: [1, 2] }, tags: ['x', 'y,z'] },
    headers: { prefer: 'return=representation' },
  })
  expect(made.status).toBe(201)
  expect(made.json).toEqual([
    { id: 1, title: 'first', done: false, slug: 'one', meta: { a: [1, 2] }, tags: ['x', 'y,z'] },
  ])
  const bulk = await backend.call(acme, '/rest/v1/todos', {
    body: [
      { title: 'second', slug: 'two' },
      { title: 'third', slug: null },
    ],
  })
  expect([bulk.status, bulk.text]).toEqual([201, ''])
  const read = await backend.call(acme, '/rest/v1/todos?select=id,name:title&order=id.desc&limit=2')
  expect(read.json).toEqual([
    { id: 3, name: 'third' },
    { id: 2, name: 'second' },
  ])
  expect(read.headers.get('content-range')).toBe('0-1/*')
  const changed = await backend.call(acme, '/rest/v1/todos?id=eq.2', {
    method: 'PATCH',
    body: { done: true },
    headers: { prefer: 'return=representation' },
  })
  expect([changed.status, changed.json]).toEqual([200, [expect.objectContaining({ id: 2, done: true })]])
  const gone = await backend.call(acme, '/rest/v1/todos?id=eq.3', { method: 'DELETE' })
  expect(gone.status).toBe(204)
  const counted = await backend.call(acme, '/rest/v1/todos?limit=1', { headers: { prefer: 'count=exact' } })
  expect([counted.status, counted.headers.get('content-range')]).toEqual([206, '0-0/2'])
})

test('another tenant sees none of it', async () => {
  const read = await backend.call(globex, '/rest/v1/todos')
  expect(read.json).toEqual([])
})

test('the tenant column exists nowhere', async () => {
  for (const path of [
    '/rest/v1/todos?select=tenant_id',
    '/rest/v1/todos?tenant_id=eq.x',
    '/rest/v1/todos?order=tenant_id',
  ]) {
    const answer = await backend.call(acme, path)
    expect([answer.status, (answer.json as { code: string }).code]).toEqual([400, '42703'])
  }
  const written = await backend.call(acme, '/rest/v1/todos', { body: { title: 'x', tenant_id: globex.tenantId } })
  expect([written.status, (written.json as { code: string }).code]).toEqual([400, 'PGRST204'])
  const all = await backend.call(acme, '/rest/v1/todos')
  expect(all.text).not.toContain('tenant')
  const csv = await backend.call(acme, '/rest/v1/todos', { headers: { accept: 'text/csv' } })
  expect(csv.text).toContain('id,title,done,slug,meta,tags\n')
  expect(csv.text).not.toContain('ten_')
})

test('errors have PostgREST bodies and statuses', async () => {
  const cases: [string, Parameters<TestBackend['call']>[2], number, string][] = [
    ['/rest/v1/nowhere', {}, 404, 'PGRST205'],
    ['/rest/v1/todos?id=foo.1', {}, 400, 'PGRST100'],
    ['/rest/v1/todos?select=id,', {}, 400, 'PGRST100'],
    ['/rest/v1/todos?id=eq.abc', {}, 400, '22P02'],
    ['/rest/v1/todos', { body: { title: 'dup', slug: 'one' } }, 409, '23505'],
    ['/rest/v1/todos', { body: { slug: 'no title' } }, 400, '23502'],
    ['/rest/v1/todos', { body: '{"title":' }, 400, 'PGRST102'],
    ['/rest/v1/todos?id=gt.0', { headers: { accept: 'application/vnd.pgrst.object+json' } }, 406, 'PGRST116'],
    ['/rest/v1/todos', { headers: { 'accept-profile': globex.schema } }, 406, 'PGRST106'],
  ]
  for (const [path, options, status, code] of cases) {
    const answer = await backend.call(acme, path, options)
    expect([path, answer.status, (answer.json as { code: string }).code]).toEqual([path, status, code])
    expect(Object.keys(answer.json as object)).toEqual(['code', 'details', 'hint', 'message'])
    expect(answer.text).not.toContain(acme.schema)
  }
})

test('a write that asks for one object and touches several changes nothing', async () => {
  const answer = await backend.call(acme, '/rest/v1/todos?id=gt.0', {
    method: 'PATCH',
    body: { title: 'all the same' },
    headers: { prefer: 'return=representation', accept: 'application/vnd.pgrst.object+json' },
  })
  expect([answer.status, (answer.json as { code: string }).code]).toEqual([406, 'PGRST116'])
  const read = await backend.call(acme, '/rest/v1/todos?title=eq.all%20the%20same')
  expect(read.json).toEqual([])
})

test('upserts merge or ignore', async () => {
  const merged = await backend.call(acme, '/rest/v1/todos?on_conflict=slug', {
    body: { title: 'merged', slug: 'one' },
    headers: { prefer: 'resolution=merge-duplicates,return=representation' },
  })
  expect([merged.status, merged.json]).toEqual([200, [expect.objectContaining({ id: 1, title: 'merged' })]])
  const ignored = await backend.call(acme, '/rest/v1/todos?on_conflict=slug', {
    body: { title: 'ignored', slug: 'one' },
    headers: { prefer: 'resolution=ignore-duplicates,return=representation' },
  })
  expect(ignored.json).toEqual([])
  const put = await backend.call(acme, '/rest/v1/todos?id=eq.1', {
    method: 'PUT',
    body: { id: 1, title: 'put', slug: 'one' },
    headers: { prefer: 'return=representation' },
  })
  expect([put.status, put.json]).toEqual([200, [expect.objectContaining({ id: 1, title: 'put' })]])
  const mismatch = await backend.call(acme, '/rest/v1/todos?id=eq.7', { method: 'PUT', body: { id: 8, title: 'put' } })
  expect([mismatch.status, (mismatch.json as { code: string }).code]).toEqual([400, 'PGRST115'])
})

test('every operator of the grammar reaches Postgres', async () => {
  const count = async (query: string) => {
    const answer = await backend.call(acme, `/rest/v1/todos?select=id&${query}`)
    expect([query, answer.status]).toEqual([query, 200])
    return (answer.json as unknown[]).length
  }
  expect(await count('id=in.(1,2)')).toBe(2)
  expect(await count('title=like.p*')).toBe(1)
  expect(await count('title=ilike(any).{P*,SEC*}')).toBe(2)
  expect(await count('title=match.^p')).toBe(1)
  expect(await count('slug=is.null')).toBe(0)
  expect(await count('slug=not.is.null')).toBe(2)
  expect(await count('done=is.true')).toBe(1)
  expect(await count('meta->a->>0=eq.1')).toBe(1)
  expect(await count('tags=cs.{x}')).toBe(1)
  expect(await count('tags=ov.{x,q}')).toBe(1)
  expect(await count('title=fts.put')).toBe(1)
  expect(await count('title=wfts(english).put')).toBe(1)
  expect(await count('or=(id.eq.1,and(title.eq.second,done.not.is.false))')).toBe(2)
  expect(await count('not.or=(id.eq.1,id.eq.2)')).toBe(0)
  expect(await count('id=eq(any).{1,2}')).toBe(2)
  expect(await count('slug=isdistinct.one')).toBe(1)
})

test('a read that was planned before binds its own values, in whatever order they come', async () => {
  const ids = async (query: string) => {
    const answer = await backend.call(acme, `/rest/v1/todos?select=id&order=id&${query}`)
    return [answer.status, (answer.json as { id: number }[]).map((row) => row.id)]
  }
  await backend.call(acme, '/rest/v1/todos?id=gt.0', { method: 'DELETE' })
  await backend.call(acme, '/rest/v1/todos', {
    body: [10, 11, 12, 13].map((id) => ({ id, title: `t${id}`, slug: `s${id}`, done: id > 11 })),
  })
  for (let round = 0; round < 3; round++) {
    expect(await ids('id=eq.10')).toEqual([200, [10]])
    expect(await ids('id=eq.11')).toEqual([200, [11]])
    expect(await ids('id=gte.11&title=neq.t12')).toEqual([200, [11, 13]])
    expect(await ids('id=gte.13&title=neq.t10')).toEqual([200, [13]])
    expect(await ids('title=neq.t13&id=gte.12')).toEqual([200, [12]])
    expect(await ids('id=not.eq.10&or=(done.is.true,slug.eq.s11)')).toEqual([200, [11, 12, 13]])
    expect(await ids('id=not.eq.11&or=(done.is.true,slug.eq.s11)')).toEqual([200, [12, 13]])
    const counted = await backend.call(acme, `/rest/v1/todos?id=gt.${10 + round}`, {
      headers: { prefer: 'count=exact' },
    })
    expect(counted.headers.get('content-range')).toBe(round === 3 ? '*/0' : `0-${2 - round}/${3 - round}`)
    expect(counted.headers.get('content-location')).toBe(`/todos?id=gt.${10 + round}`)
    expect((await backend.call(acme, '/rest/v1/todos?id=eq.x')).status).toBe(400)
  }
})

test('plans and tx=rollback are off unless the operator turns them on', async () => {
  const plan = await backend.call(acme, '/rest/v1/todos', { headers: { accept: 'application/vnd.pgrst.plan' } })
  expect([plan.status, plan.json]).toMatchObject([406, { code: 'PGRST107' }])
  const kept = await backend.call(acme, '/rest/v1/todos?select=title', {
    body: { title: 'kept', slug: 'kept' },
    headers: { prefer: 'return=representation, tx=rollback' },
  })
  expect([kept.status, kept.json]).toEqual([201, [{ title: 'kept' }]])
  const gone = await backend.call(acme, '/rest/v1/todos?slug=eq.kept&select=title', {
    method: 'DELETE',
    headers: { prefer: 'return=representation' },
  })
  expect(gone.json).toEqual([{ title: 'kept' }])
})
