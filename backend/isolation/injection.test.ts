import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { POSITIONS, type PositionedRequest, positionsOf } from '../../test/support/rest-positions.ts'
import { hostileTexts } from '../../test/support/sql-payloads.ts'
import { TenantDatabase, type TestTenant } from '../test-support/tenant-database.ts'
import { TestBackend } from '../test-support/test-backend.ts'

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

const COLLECTIONS = { table: 'todos', referring: 'lists' }
const q = (text: string) => encodeURIComponent(text.toWellFormed())

/** Sends a text at one position; it must be taken as text or refused as such, and bring nothing of the other tenant. */
async function expectText({ path, claims, ...options }: PositionedRequest): Promise<void> {
  const user = claims === undefined ? {} : { role: 'authenticated' as const, claims }
  const answer = await backend.call(acme, path, { ...options, ...user })
  const { code, message = '' } = (answer.json ?? {}) as { code?: string; message?: string }
  expect({ path, status: answer.status < 500 }).toEqual({ path, status: true })
  expect(answer.text).not.toContain(CANARY)
  expect(answer.text).not.toMatch(/ten_[0-9a-z]{26}/)
  // A syntax error would mean that text was read as SQL (a tsquery has a syntax of its own under the same code).
  if (code === '42601' && !path.includes('fts')) expect(message, path).toContain('zero-length delimited identifier')
}

async function expectUntouched(): Promise<void> {
  expect((await backend.call(globex, '/rest/v1/todos')).json).toEqual([{ id: 1, title: CANARY, meta: null }])
  expect((await backend.call(acme, '/rest/v1/todos?id=eq.1&select=id')).json).toHaveLength(1)
}

test('no text of a request reaches SQL as SQL, in any position of the grammar', async () => {
  const request = payload().chain((p) => fc.constantFrom(...positionsOf(p, COLLECTIONS)))
  await fc.assert(fc.asyncProperty(request, expectText), {
    numRuns: 500,
    ...(process.env.FC_SEED === undefined ? {} : { seed: Number(process.env.FC_SEED) }),
  })
  await expectUntouched()
}, 60_000)

test('nor does any text of the payload corpora, each at its share of the positions', async () => {
  const texts = hostileTexts(`${globex.schema}.todos`)
  expect(texts.length).toBeGreaterThan(3_000)
  // `AERODB_ALL_POSITIONS=1`: each at every position, in minutes.
  const isWhole = process.env.AERODB_ALL_POSITIONS === '1'
  for (let first = 0; first < texts.length; first += 16)
    await Promise.all(
      texts.slice(first, first + 16).flatMap((text, i) => {
        const requests = positionsOf(text, COLLECTIONS)
        return (isWhole ? requests : [requests[(first + i) % POSITIONS] as PositionedRequest]).map(expectText)
      }),
    )
  await expectUntouched()
}, 1_800_000)

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
