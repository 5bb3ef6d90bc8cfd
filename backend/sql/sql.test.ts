import { afterAll, beforeAll, expect, test } from 'vitest'
import { TenantDatabase, type TestTenant } from '../test-support/tenant-database.ts'
import { type CallOptions, TestBackend } from '../test-support/test-backend.ts'

let database: TenantDatabase
let backend: TestBackend
let acme: TestTenant

beforeAll(async () => {
  database = await TenantDatabase.create()
  backend = await TestBackend.start([database.record])
  acme = await database.addTenant()
})

afterAll(async () => {
  await backend?.stop()
  await database?.drop()
})

const sql = (query: string, params?: unknown[], options: CallOptions = {}) =>
  backend.call(acme, '/sql/v1', {
    isolation: 'database',
    body: { query, ...(params === undefined ? {} : { params }) },
    ...options,
  })
const code = (answer: { json: unknown }) => (answer.json as { code: string }).code

test('SQL is for the service role of a tenant with a database of its own', async () => {
  expect(code(await sql('select 1', [], { isolation: 'schema' }))).toBe('sql_not_available')
  expect(code(await sql('select 1', [], { role: 'authenticated' }))).toBe('service_role_required')
})

test('statements run with their parameters, and several at once without', async () => {
  const one = await sql('select $1::int + 1 as n, $2::jsonb as j, $3::timestamptz as at', [
    1,
    { a: [1] },
    '2020-01-02T03:04:05.123456Z',
  ])
  expect(one.json).toMatchObject({
    command: 'SELECT',
    row_count: 1,
    rows: [{ n: 2, j: { a: [1] }, at: expect.stringContaining('.123456') }],
  })
  const many = await sql('select 1 as a; select 2 as b union all select 3')
  expect(many.json).toMatchObject({ rows: [{ b: 2 }, { b: 3 }] })
  const wrong = await sql('select nope')
  expect([wrong.status, code(wrong)]).toEqual([400, 'sql_error'])
})

test('a table made by SQL has both walls, is served at once, and never shows the tenant column', async () => {
  expect((await sql('create table notes (id int primary key, text text)')).status).toBe(200)
  expect((await sql(`insert into notes values (1, 'one')`)).status).toBe(200)
  const own: CallOptions = { isolation: 'database' }
  expect((await backend.call(acme, '/rest/v1/notes', own)).json).toEqual([{ id: 1, text: 'one' }])
  const selected = await sql('select * from notes')
  expect(selected.json).toMatchObject({ rows: [{ id: 1, text: 'one' }], fields: [{ name: 'id' }, { name: 'text' }] })
  await sql('alter table notes disable row level security')
  const walls = await database.asAdmin(
    `select relrowsecurity and relforcerowsecurity as forced from pg_class where oid = '${acme.schema}.notes'::regclass`,
  )
  expect(walls.rows).toEqual([{ forced: true }])
  await sql('create function twice(n int) returns int language sql immutable as $$ select n * 2 $$')
  expect((await backend.call(acme, '/rest/v1/rpc/twice', { ...own, body: { n: 4 } })).json).toBe(8)
})

test('what SQL leaves in its session is gone with it', async () => {
  await sql(`set search_path = pg_catalog; set app.tenant_id = 'ten_other'; select pg_advisory_lock(7)`)
  await sql('create temp table left_over (a int)')
  expect((await sql('select count(*)::int as n from notes')).json).toMatchObject({ rows: [{ n: 1 }] })
  expect(code(await sql('select * from left_over'))).toBe('sql_error')
  expect((await sql('select pg_try_advisory_lock(7) as free')).json).toMatchObject({ rows: [{ free: true }] })
})

test('the owner can become nobody else and reach nothing of the machine', async () => {
  for (const attack of [
    'set role postgres',
    'create role x superuser',
    'alter role current_user superuser',
    `copy notes to program 'id'`,
    `copy notes from '/etc/passwd'`,
    `select pg_read_file('/etc/passwd')`,
    `select lo_import('/etc/passwd')`,
    `load 'plpgsql'; load '/tmp/x.so'`,
    `create function f() returns int language c as '/tmp/x', 'f'`,
    'create extension dblink',
    'create schema other',
    'create database other',
    'alter event trigger aerodb_ddl disable',
    'select * from pg_authid',
    `alter system set shared_preload_libraries = 'x'`,
    'create table public.x (a int)',
    'create language plpython3u',
  ]) {
    const answer = await sql(attack)
    expect([attack, answer.status]).toEqual([attack, 400])
  }
})

test('a result past the row limit and a statement past its time are refused by name', async () => {
  const large = await sql('select i from generate_series(1, 200000) i')
  expect([large.status, code(large)]).toEqual([413, 'result_too_large'])
  const slow = await sql(`set statement_timeout = '50ms'; select pg_sleep(5)`)
  expect([slow.status, code(slow)]).toEqual([504, 'sql_timeout'])
})
