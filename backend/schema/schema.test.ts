import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RedisServer } from '../../runtime/redis-server.ts'
import { startRedis } from '../../test/support/redis.ts'
import { TenantDatabase, type TestTenant } from '../test-support/tenant-database.ts'
import { type Answer, TestBackend } from '../test-support/test-backend.ts'

let redis: RedisServer
let database: TenantDatabase
let one: TestBackend
let other: TestBackend
let acme: TestTenant

beforeAll(async () => {
  redis = await startRedis()
  database = await TenantDatabase.create()
  acme = await database.addTenant()
  one = await TestBackend.start([database.record], {}, redis)
  other = await TestBackend.start([database.record], {}, redis)
})

afterAll(async () => {
  await one?.stop()
  await other?.stop()
  await database?.drop()
  await redis?.stop()
})

const code = (answer: Answer) => (answer.json as { code?: string } | undefined)?.code

test('only the service role manages collections', async () => {
  for (const role of ['anon', 'authenticated'] as const) {
    const answer = await one.call(acme, '/schema/v1/collections', { role })
    expect([answer.status, code(answer)]).toEqual([403, 'service_role_required'])
  }
})

test('a collection is described as it was asked for, without the tenant column', async () => {
  const authors = await one.call(acme, '/schema/v1/collections', {
    body: { name: 'authors', columns: [{ name: 'name', type: 'text' }] },
  })
  expect(authors.status).toBe(201)
  const made = await one.call(acme, '/schema/v1/collections', {
    body: {
      name: 'books',
      columns: [
        { name: 'isbn', type: 'varchar(13)', nullable: false },
        { name: 'author_id', type: 'bigint', references: 'authors.id' },
        { name: 'price', type: 'numeric(10,2)', default: 9.5 },
        { name: 'note', type: 'text', default: "it's; drop table books --" },
        { name: 'code', type: 'uuid', default: 'gen_random_uuid()', unique: true },
        { name: 'at', type: 'timestamptz', default: 'now()' },
      ],
      primary_key: ['isbn'],
      rls: { policy: 'public_read' },
    },
  })
  expect([made.status, made.text]).toEqual([201, expect.any(String)])
  const read = await one.call(acme, '/schema/v1/collections/books')
  expect(read.json).toEqual(made.json)
  expect(read.json).toMatchObject({
    name: 'books',
    primary_key: ['isbn'],
    rls: { policy: 'public_read', owner_column: null },
    columns: [
      { name: 'isbn', type: 'character varying(13)', nullable: false },
      { name: 'author_id', type: 'bigint', references: 'authors.id' },
      { name: 'price', type: 'numeric(10,2)' },
      { name: 'note', type: 'text' },
      { name: 'code', type: 'uuid', unique: true },
      { name: 'at', type: 'timestamp with time zone' },
    ],
  })
  expect(read.text).not.toContain('tenant')
  const row = await one.call(acme, '/rest/v1/books', {
    body: { isbn: '1' },
    headers: { prefer: 'return=representation' },
  })
  expect(row.json).toEqual([expect.objectContaining({ isbn: '1', price: 9.5, note: "it's; drop table books --" })])
  const list = await one.call(acme, '/schema/v1/collections')
  expect((list.json as { data: { name: string }[] }).data.map((collection) => collection.name)).toEqual([
    'authors',
    'books',
  ])
})

test('a collection made or changed at one backend is served by every other at once', async () => {
  for (let i = 0; i < 10; i++) {
    const name = `fresh_${i}`
    expect((await other.call(acme, `/rest/v1/${name}`)).status).toBe(404)
    await one.call(acme, '/schema/v1/collections', { body: { name, columns: [{ name: 'a', type: 'text' }] } })
    const read = await other.call(acme, `/rest/v1/${name}?select=a`)
    expect([read.status, read.json]).toEqual([200, []])
    await one.call(acme, `/schema/v1/collections/${name}`, {
      method: 'PATCH',
      body: { add: { name: 'b', type: 'integer' } },
    })
    expect((await other.call(acme, `/rest/v1/${name}?select=b`)).status).toBe(200)
    await one.call(acme, `/schema/v1/collections/${name}`, {
      method: 'PATCH',
      body: { drop: ['a'], rename: { b: 'c' } },
    })
    expect((await other.call(acme, `/rest/v1/${name}?select=*`)).status).toBe(200)
    expect((await other.call(acme, `/rest/v1/${name}?select=c`)).status).toBe(200)
    expect((await other.call(acme, `/rest/v1/${name}?select=a`)).status).toBe(400)
    expect((await one.call(acme, `/schema/v1/collections/${name}`, { method: 'DELETE' })).status).toBe(204)
    expect((await other.call(acme, `/rest/v1/${name}`)).status).toBe(404)
  }
})

test('what is not valid is refused, each fault with its place', async () => {
  const answer = await one.call(acme, '/schema/v1/collections', {
    body: {
      name: 'bad name',
      columns: [
        { name: 'tenant_id', type: 'text' },
        { name: 'a"b', type: 'text' },
        { name: 'c', type: 'text; drop table x' },
        { name: 'd', type: 'regclass' },
        { name: 'e', type: 'text', references: 'pg_catalog.pg_class.oid' },
        { name: 'f'.repeat(64), type: 'text' },
      ],
    },
  })
  expect([answer.status, code(answer)]).toEqual([400, 'validation_failed'])
  expect((answer.json as { errors: { path: string }[] }).errors.map((error) => error.path)).toEqual([
    'name',
    'columns.0.name',
    'columns.1.name',
    'columns.2.type',
    'columns.3.type',
    'columns.4.references',
    'columns.5.name',
  ])
})

test('conflicts and absences have codes of their own', async () => {
  const body = { name: 'taken', columns: [{ name: 'a', type: 'text' }] }
  await one.call(acme, '/schema/v1/collections', { body })
  const again = await one.call(acme, '/schema/v1/collections', { body })
  expect([again.status, code(again)]).toEqual([409, 'collection_exists'])
  const absent = await one.call(acme, '/schema/v1/collections/absent', { method: 'DELETE' })
  expect([absent.status, code(absent)]).toEqual([404, 'collection_not_found'])
  const reference = { name: 'orphan', columns: [{ name: 'a', type: 'bigint', references: 'absent.id' }] }
  const refused = await one.call(acme, '/schema/v1/collections', { body: reference })
  expect([refused.status, code(refused)]).toEqual([400, 'schema_change_refused'])
  expect(refused.text).not.toContain(acme.schema)
})

test('policies decide what anon and authenticated may do; the service role may all', async () => {
  for (const policy of ['none', 'owner', 'public_read']) {
    const rls = policy === 'none' ? { policy } : { policy, owner_column: 'owner' }
    const columns = [
      { name: 'owner', type: 'uuid' },
      { name: 'body', type: 'text' },
    ]
    const made = await one.call(acme, '/schema/v1/collections', { body: { name: `notes_${policy}`, columns, rls } })
    expect([made.status, (made.json as { rls: unknown }).rls]).toEqual([201, { owner_column: null, ...rls }])
  }
  const ann = '00000000-0000-4000-8000-00000000000a'
  const bob = '00000000-0000-4000-8000-00000000000b'
  const as = (role: 'anon' | 'authenticated' | 'service_role', sub?: string) => ({
    role,
    ...(sub === undefined ? {} : { claims: { sub } }),
  })
  const write = (policy: string, who: object, owner: string) =>
    one.call(acme, `/rest/v1/notes_${policy}`, { ...who, body: { owner, body: 'x' } })
  const rows = async (policy: string, who: object) =>
    ((await one.call(acme, `/rest/v1/notes_${policy}?select=owner`, who)).json as unknown[]).length

  expect((await write('none', as('anon'), ann)).status).toBe(201)
  expect(await rows('none', as('anon'))).toBe(1)

  expect((await write('owner', as('anon'), ann)).status).toBe(401)
  expect((await write('owner', as('authenticated', ann), ann)).status).toBe(201)
  const foreign = await write('owner', as('authenticated', ann), bob)
  expect([foreign.status, code(foreign)]).toEqual([403, '42501'])
  expect(await rows('owner', as('anon'))).toBe(0)
  expect(await rows('owner', as('authenticated', ann))).toBe(1)
  expect(await rows('owner', as('authenticated', bob))).toBe(0)
  expect(await rows('owner', as('authenticated'))).toBe(0)
  expect(await rows('owner', as('service_role'))).toBe(1)

  expect((await write('public_read', as('anon'), ann)).status).toBe(401)
  expect((await write('public_read', as('authenticated', bob), bob)).status).toBe(201)
  expect((await write('public_read', as('service_role'), ann)).status).toBe(201)
  expect(await rows('public_read', as('anon'))).toBe(2)
  await one.call(acme, '/rest/v1/notes_public_read', { ...as('authenticated', ann), method: 'DELETE' })
  expect(await rows('public_read', as('anon'))).toBe(1)
})

test('a custom policy lets each command do what its rule says, for columns and claims, and service_role all', async () => {
  const made = await one.call(acme, '/schema/v1/collections', {
    body: {
      name: 'notes',
      columns: [
        { name: 'author', type: 'text' },
        { name: 'team', type: 'uuid' },
        { name: 'state', type: 'text', default: "'draft'" },
        { name: 'until', type: 'timestamptz' },
      ],
      rls: {
        policy: 'custom',
        rules: {
          select:
            "state = 'public' and (until is null or until > now()) or author = auth.uid() or team in claims.teams",
          insert: "author = auth.uid() and state in ('draft', 'public')",
          update: 'author = auth.uid()',
        },
      },
    },
  })
  expect([made.status, made.text]).toEqual([201, expect.any(String)])
  const team = '01890a5d-ac96-774b-bcce-b302099a8057'
  const ann = { role: 'authenticated', claims: { sub: 'ann' } } as const
  const bob = { role: 'authenticated', claims: { sub: 'bob', teams: [team] } } as const
  const write = (body: object, who: object) => one.call(acme, '/rest/v1/notes', { body, ...who })
  expect((await write({ author: 'ann', state: 'public' }, ann)).status).toBe(201)
  expect((await write({ author: 'ann', state: 'draft', team }, ann)).status).toBe(201)
  expect((await write({ author: 'ann' }, bob)).status).toBe(403)
  expect((await write({ author: 'ann', state: 'published' }, ann)).status).toBe(403)
  expect((await write({ author: 'ann', state: 'public' }, { role: 'anon' })).status).toBe(401)
  expect((await write({ author: 'eve', state: 'public', until: '2020-01-01' }, {})).status).toBe(201)
  const seenBy = async (who: object) => {
    const answer = await one.call(acme, '/rest/v1/notes?select=id&order=id', who)
    return (answer.json as { id: number }[]).map(({ id }) => id)
  }
  const all = await seenBy({})
  expect([(await seenBy({ role: 'anon' })).length, (await seenBy(ann)).length, (await seenBy(bob)).length]).toEqual([
    1, 2, 2,
  ])
  expect(all).toHaveLength(3)
  const removed = await one.call(acme, '/rest/v1/notes?id=gt.0', { method: 'DELETE', ...ann })
  expect([removed.status, (await seenBy({})).length]).toEqual([204, 3])
  const changed = { method: 'PATCH', body: { rename: { author: 'written by' } } } as const
  expect((await one.call(acme, '/schema/v1/collections/notes', { ...changed })).status).toBe(400)
  await one.call(acme, '/schema/v1/collections/notes', { method: 'PATCH', body: { rename: { author: 'writer' } } })
  expect((await one.call(acme, '/schema/v1/collections/notes')).json).toMatchObject({
    rls: { policy: 'custom', rules: { update: 'writer = claims.sub' } },
  })
  expect(await seenBy(ann)).toHaveLength(2)
  const dropped = await one.call(acme, '/schema/v1/collections/notes', { method: 'PATCH', body: { drop: ['writer'] } })
  expect([dropped.status, code(dropped)]).toEqual([409, 'collection_in_use'])
  const opened = await one.call(acme, '/schema/v1/collections/notes', {
    method: 'PATCH',
    body: { drop: ['writer'], rls: { policy: 'public_read' } },
  })
  expect([opened.status, opened.json]).toMatchObject([200, { rls: { policy: 'public_read' } }])
  expect(await seenBy({ role: 'anon' })).toHaveLength(3)
})

test('a rule that is none is refused with its place', async () => {
  const rules = { select: 'pg_sleep(1)', insert: 'tenant_id = 1', update: 'nope = 1' }
  const refused = (body: object) => one.call(acme, '/schema/v1/collections', { body: { name: 'ruled', ...body } })
  const answer = await refused({ rls: { policy: 'custom', rules } })
  expect([answer.status, answer.json]).toMatchObject([
    400,
    { errors: [{ path: 'rls.rules.select', message: 'needs "and", "or" or the end at character 9' }] },
  ])
  const hidden = await refused({ rls: { policy: 'custom', rules: { insert: rules.insert } } })
  expect([hidden.status, hidden.json]).toMatchObject([400, { errors: [{ path: 'rls.rules.insert' }] }])
  const unknown = await refused({ rls: { policy: 'custom', rules: { update: rules.update } } })
  expect([unknown.status, code(unknown)]).toEqual([400, 'schema_change_refused'])
  const none = await refused({ rls: { policy: 'custom' } })
  expect([none.status, none.json]).toMatchObject([400, { errors: [{ path: 'rls.rules' }] }])
  expect((await one.call(acme, '/schema/v1/collections/ruled')).status).toBe(404)
})

test('versions list what was changed, and the latest change of a collection can be undone, one after the other', async () => {
  const beta = await database.addTenant('beta')
  const call = (path: string, options: object = {}) => one.call(beta, `/schema/v1${path}`, options)
  expect((await call('/versions')).json).toEqual({ data: [], next_cursor: null })
  const first = await call('/collections', {
    body: {
      name: 'tasks',
      columns: [
        { name: 'title', type: 'varchar(80)', nullable: false, default: "it's" },
        { name: 'made', type: 'timestamptz', default: 'now()' },
        { name: 'owner', type: 'text', default: 'auth.uid()' },
        { name: 'code', type: 'uuid', unique: true },
      ],
      rls: { policy: 'owner', owner_column: 'owner' },
    },
  })
  expect(first.status).toBe(201)
  const patch = (body: object) => call('/collections/tasks', { method: 'PATCH', body })
  const second = await patch({ rename: { title: 'name' }, drop: ['code'], add: { name: 'title', type: 'integer' } })
  const third = await patch({ rls: { policy: 'custom', rules: { select: "name = 'open'" } } })
  expect([second.status, third.status]).toEqual([200, 200])
  expect((await call('/collections/tasks', { method: 'DELETE' })).status).toBe(204)
  const list = (await call('/versions?collection=tasks&limit=3')).json as { data: object[]; next_cursor: string }
  expect(list).toMatchObject({
    data: [
      { version: 4, action: 'drop', change: null, undone_by: null },
      { version: 3, action: 'alter', change: { rls: { policy: 'custom' } } },
      { version: 2, action: 'alter', before: first.json },
    ],
    next_cursor: '2',
  })
  expect((await call('/versions?cursor=2')).json).toMatchObject({ data: [{ version: 1, action: 'create' }] })
  const undo = (version: number | string) => call(`/versions/${version}/undo`, { method: 'POST' })
  const early = await undo(3)
  expect([early.status, code(early)]).toEqual([409, 'version_not_latest'])
  expect((await undo(4)).json).toEqual({ collection: third.json })
  expect((await undo(3)).json).toEqual({ collection: second.json })
  const byName = (answer: Answer) => {
    const { collection = answer.json } = answer.json as { collection?: { columns: { name: string }[] } }
    const { columns, ...rest } = collection as { columns: { name: string }[] }
    return { ...rest, columns: columns.toSorted((a, b) => a.name.localeCompare(b.name)) }
  }
  expect(byName(await undo(2))).toEqual(byName(first))
  const twice = await undo(2)
  expect([twice.status, code(twice)]).toEqual([409, 'version_not_latest'])
  await one.call(beta, '/rest/v1/tasks', { body: { name: 'kept' } })
  await one.call(beta, '/rest/v1/tasks', { body: { title: 'kept' } })
  const full = await undo(1)
  expect([full.status, code(full)]).toEqual([409, 'collection_not_empty'])
  await one.call(beta, '/rest/v1/tasks?id=gt.0', { method: 'DELETE' })
  expect((await undo(1)).json).toEqual({ collection: null })
  expect((await call('/collections/tasks')).status).toBe(404)
  expect([(await undo(99)).status, (await undo('x')).status]).toEqual([404, 404])
  expect((await one.call(beta, '/rest/v1/_schema_versions')).status).toBe(404)
  expect((await call('/versions?collection=tasks')).json).toMatchObject({ data: { length: 8 } })
  expect((await one.call(beta, '/schema/v1/versions', { role: 'anon' })).status).toBe(403)
})
