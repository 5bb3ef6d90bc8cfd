import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TenantDatabase, type TestTenant } from '../test-support/tenant-database.ts'
import { type CallOptions, TestBackend } from '../test-support/test-backend.ts'

let database: TenantDatabase
let backend: TestBackend
let acme: TestTenant
let globex: TestTenant

const CANARY = 'globex-canary-7431'

beforeAll(async () => {
  database = await TenantDatabase.create()
  backend = await TestBackend.start([database.record])
  acme = await database.addTenant('acme')
  globex = await database.addTenant('globex')
  for (const tenant of [acme, globex])
    for (const name of ['todos', 'lists'])
      await backend.call(tenant, '/schema/v1/collections', {
        body: {
          name,
          columns: [
            { name: 'title', type: 'text' },
            { name: 'meta', type: 'jsonb' },
            ...(name === 'lists' ? [{ name: 'todo_id', type: 'bigint', references: 'todos.id' }] : []),
          ],
        },
      })
  await backend.call(globex, '/rest/v1/todos', { body: { title: CANARY } })
  await backend.call(acme, '/rest/v1/todos', { body: { title: 'mine', meta: { a: 1 } } })
})

afterAll(async () => {
  await backend?.stop()
  await database?.drop()
})

/** What attackers try, with the names that would matter here put in. */
const payload = () =>
  fc.oneof(
    fc
      .constantFrom(
        "'; drop table SCHEMA.todos; --",
        '"; select * from SCHEMA.todos; --',
        "' or '1'='1",
        "') or 1=1 --",
        '1; set role postgres',
        'title" from SCHEMA.todos --',
        '*/ union select * from SCHEMA.todos /*',
        "\\'; select pg_sleep(9); --",
        '$1',
        '$$; select 1; $$',
        "E'\\\\'",
        'SCHEMA.todos',
        '"SCHEMA"."todos"',
        'pg_catalog.pg_authid',
        'pg_shadow',
        'tenant_id',
        '"tenant_id"',
        '(select title from SCHEMA.todos)',
        "current_setting('app.tenant_id')",
        "set_config('role','SCHEMA',false)",
        'regclass',
        'a::regclass',
        'todos.tenant_id',
        't0.*',
        'todos!inner(tenant_id)',
        'xmin',
        'ctid',
        'tableoid::regclass',
        '\u0000',
        '\ud800',
        '"'.repeat(9),
        '('.repeat(400),
        'and('.repeat(200),
        'a'.repeat(5_000),
      )
      .map((text) => text.replaceAll('SCHEMA', globex.schema)),
    fc.string({ maxLength: 30 }),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.stringMatching(/^['"\\;()*,.:>-]{1,12}$/),
  )

const q = (text: string) => encodeURIComponent(text.toWellFormed())

/** Every position of the grammar into which a client puts text. */
const request = (): fc.Arbitrary<{ path: string; options: CallOptions }> =>
  payload().chain((p) =>
    fc
      .constantFrom<[string, CallOptions?]>(
        [`/todos?select=${q(p)}`],
        [`/todos?select=id,${q(p)}:title`],
        [`/todos?select=id,"${q(p)}":title`],
        [`/todos?select=title::${q(p)}`],
        [`/todos?select=meta->${q(p)}`],
        [`/todos?select=meta->"${q(p)}"`],
        [`/todos?select=lists(${q(p)})`],
        [`/todos?select=lists!${q(p)}(id)`],
        [`/todos?select=${q(p)}(id)`],
        [`/todos?select=id.${q(p)}()`],
        [`/todos?${q(p)}=eq.1`],
        [`/todos?"${q(p)}"=eq.1`],
        [`/todos?title=${q(p)}`],
        [`/todos?title=eq.${q(p)}`],
        [`/todos?title=like.${q(p)}`],
        [`/todos?title=match.${q(p)}`],
        [`/todos?title=in.(${q(p)})`],
        [`/todos?title=in.("${q(p)}")`],
        [`/todos?title=fts(${q(p)}).x`],
        [`/todos?title=fts.${q(p)}`],
        [`/todos?title=is.${q(p)}`],
        [`/todos?id=eq(any).${q(p)}`],
        [`/todos?meta->>${q(p)}=eq.1`],
        [`/todos?meta=cs.${q(p)}`],
        [`/todos?or=(${q(p)})`],
        [`/todos?or=(title.eq.${q(p)})`],
        [`/todos?or=(title.eq."${q(p)}",id.eq.1)`],
        [`/todos?select=id,lists(id)&lists.title=eq.${q(p)}`],
        [`/todos?select=id,lists(id)&lists.order=${q(p)}`],
        [`/todos?order=${q(p)}`],
        [`/todos?order=title.${q(p)}`],
        [`/todos?limit=${q(p)}`],
        [`/todos?offset=${q(p)}`],
        [`/${q(p)}`],
        [`/rpc/${q(p)}`],
        [`/rpc/f?${q(p)}=1`],
        [`/todos?columns=${q(p)}`, { body: { title: 'x' } }],
        [`/todos?on_conflict=${q(p)}`, { body: { title: 'x' }, headers: { prefer: 'resolution=merge-duplicates' } }],
        ['/todos', { body: { [p]: 'x' } }],
        ['/todos', { body: { title: p } }],
        ['/todos', { body: `title\n"${p.replaceAll('"', '""')}"\n`, headers: { 'content-type': 'text/csv' } }],
        ['/todos', { body: `${p},title\n1,2\n`, headers: { 'content-type': 'text/csv' } }],
        ['/todos?id=eq.0', { method: 'PATCH', body: { [p]: p } }],
        [`/todos?title=eq.${q(p)}`, { method: 'DELETE' }],
        [`/todos?id=eq.${q(p)}`, { method: 'PUT', body: { id: p, title: p } }],
        ['/todos', { headers: { prefer: q(p) } }],
        ['/todos', { headers: { accept: q(p) } }],
        ['/todos', { headers: { range: q(p) } }],
        ['/todos', { role: 'authenticated', claims: { sub: p } }],
      )
      .map(([path, options = {}]) => ({ path: `/rest/v1${path}`, options })),
  )

test('no text of a request reaches SQL as SQL, in any position of the grammar', async () => {
  await fc.assert(
    fc.asyncProperty(request(), async ({ path, options }) => {
      const answer = await backend.call(acme, path, options)
      const { code, message = '' } = (answer.json ?? {}) as { code?: string; message?: string }
      expect({ path, status: answer.status < 500 }).toEqual({ path, status: true })
      expect(answer.text).not.toContain(CANARY)
      expect(answer.text).not.toContain('ten_')
      // A syntax error would mean that text was read as SQL (a tsquery has a syntax of its own under the same code).
      if (code === '42601' && !path.includes('fts')) expect(message).toContain('zero-length delimited identifier')
    }),
    { numRuns: 500, ...(process.env.FC_SEED === undefined ? {} : { seed: Number(process.env.FC_SEED) }) },
  )
  expect((await backend.call(globex, '/rest/v1/todos')).json).toEqual([{ id: 1, title: CANARY, meta: null }])
  expect((await backend.call(acme, '/rest/v1/todos?id=eq.1&select=id')).json).toHaveLength(1)
}, 60_000)

const ruled = (rule: string) => ({
  name: 'probe',
  columns: [{ name: 'a', type: 'text' }],
  rls: { policy: 'custom', rules: { select: rule } },
})

test('no text of a schema change reaches SQL as SQL', async () => {
  await fc.assert(
    fc.asyncProperty(payload(), fc.nat(11), async (p, position) => {
      const bodies = [
        { name: p, columns: [] },
        { name: 'probe', columns: [{ name: p, type: 'text' }] },
        { name: 'probe', columns: [{ name: 'a', type: p }] },
        { name: 'probe', columns: [{ name: 'a', type: 'text', default: p }] },
        { name: 'probe', columns: [{ name: 'a', type: 'integer', default: p }] },
        { name: 'probe', columns: [{ name: 'a', type: 'jsonb', default: { p } }] },
        { name: 'probe', columns: [{ name: 'a', type: 'bigint', references: p }] },
        { name: 'probe', columns: [{ name: 'a', type: 'text' }], primary_key: [p] },
        { name: 'probe', columns: [{ name: 'a', type: 'text' }], rls: { policy: 'owner', owner_column: p } },
        ruled(p),
        ruled(`a = '${p.replaceAll("'", "''")}'`),
        ruled(`"${p.replaceAll('"', '""')}" = claims.sub`),
      ]
      const made = await backend.call(acme, '/schema/v1/collections', { body: bodies[position] })
      expect({ p, position, status: [201, 400, 409].includes(made.status) }).toEqual({ p, position, status: true })
      expect(made.text).not.toContain('syntax error')
      if (made.status === 201) {
        const { name } = made.json as { name: string }
        const row = await backend.call(acme, `/rest/v1/${q(name)}?select=a`, {
          body: {},
          headers: { prefer: 'return=representation' },
        })
        if (position === 3 && row.status === 201 && !/\(\)|current_|localtime/i.test(p) && !p.trim().startsWith("'"))
          expect(row.json).toEqual([{ a: p }])
        await backend.call(acme, `/schema/v1/collections/${q(name)}`, { method: 'DELETE' })
      }
    }),
    { numRuns: 60, ...(process.env.FC_SEED === undefined ? {} : { seed: Number(process.env.FC_SEED) }) },
  )
  expect((await backend.call(globex, '/rest/v1/todos')).json).toHaveLength(1)
}, 60_000)

test('a zero byte is refused wherever it could end SQL text', async () => {
  const zero = '%00'
  for (const path of [
    `?select=meta->${zero}`,
    `?select=meta->a${zero}b`,
    `?select="a${zero}":id`,
    `?select=${zero}:id`,
    `?title=eq.${zero}`,
  ]) {
    const answer = await backend.call(acme, `/rest/v1/todos${path}`)
    expect([path, answer.status]).toEqual([path, 400])
  }
  const made = await backend.call(acme, '/schema/v1/collections', {
    body: { name: 'zero', columns: [{ name: 'a', type: 'text', default: 'a\0b' }] },
  })
  expect(made.status).toBe(400)
})

test('half a surrogate pair is refused, not stored as another text', async () => {
  const made = await backend.call(acme, '/schema/v1/collections', {
    body: { name: 'half', columns: [{ name: 'a', type: 'text', default: '\ud800' }] },
  })
  expect([made.status, made.json]).toMatchObject([400, { code: 'malformed_unicode' }])
})
