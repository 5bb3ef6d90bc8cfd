import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createDatabase } from '../support/databases.ts'
import { type Tenant, TestPlatform } from '../support/platform.ts'
import { ensurePsql } from '../support/psql.ts'

/*
 * A tenant takes its data away: a dump that the real psql loads into a plain Postgres, from every degree of isolation.
 */

vi.setConfig({ testTimeout: 60_000, hookTimeout: 180_000 })

let platform: TestPlatform
let psql: string
let directory: string

beforeAll(async () => {
  psql = await ensurePsql()
  directory = await mkdtemp(join(tmpdir(), 'aerodb-export-'))
  platform = await TestPlatform.start()
})

afterAll(async () => {
  await platform?.close()
  await rm(directory, { recursive: true, force: true })
})

async function load(dump: string, database: string): Promise<void> {
  const file = join(directory, 'dump.sql')
  await writeFile(file, dump)
  await promisify(execFile)(psql, ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', database, '-f', file])
}

async function query(database: string, sql: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)(psql, ['-X', '-A', '-t', '-d', database, '-c', sql])
  return stdout.split('\n').filter((line) => line !== '')
}

const exportOf = (tenant: Tenant, key = tenant.keys.service) =>
  platform.call(tenant.name, '/platform/v1/export', { key })
const STRANGE = ['plain', 'tab\there', 'line\nbreak', '\\.', '\'quoted\' "twice"', 'ünïcødé 漢字', '\\N', '']

describe.each(['schema', 'database', 'cluster'])('%s isolation', (isolation) => {
  let tenant: Tenant

  beforeAll(async () => {
    tenant = await platform.createTenant(`leaving-${isolation}`, { plan: 'enterprise', isolation })
    const make = (body: unknown) =>
      platform.call(tenant.name, '/schema/v1/collections', { key: tenant.keys.service, body })
    expect((await make({ name: 'authors', columns: [{ name: 'name', type: 'text', unique: true }] })).status).toBe(201)
    const books = [
      { name: 'title', type: 'text', nullable: false },
      { name: 'meta', type: 'jsonb' },
      { name: 'author_id', type: 'bigint', references: 'authors.id' },
    ]
    const rls = { policy: 'public_read' }
    expect((await make({ name: 'books', columns: books, rls })).status).toBe(201)
    const write = (path: string, body: unknown) =>
      platform.call(tenant.name, `/rest/v1/${path}`, { key: tenant.keys.service, body })
    expect((await write('authors', { name: 'Ada' })).status).toBe(201)
    const rows = STRANGE.map((title) => ({ title, meta: { title }, author_id: 1 }))
    expect((await write('books', rows)).status).toBe(201)
    const bucket = { id: 'files', name: 'files', public: false }
    await platform.call(tenant.name, '/storage/v1/bucket', { key: tenant.keys.service, body: bucket })
    if (isolation === 'schema') return
    const sql = [
      `create function shout(text) returns text language sql immutable as $$ select upper($1) $$`,
      `create view loud as select shout(title) as title from books`,
    ]
    for (const statement of sql)
      expect(
        (await platform.call(tenant.name, '/sql/v1', { key: tenant.keys.service, body: { query: statement } })).status,
      ).toBe(200)
  })

  test('the dump loads into a plain Postgres: rows, keys, references, sequences, and nothing that is ours', async () => {
    const dump = await exportOf(tenant)
    expect(dump.status).toBe(200)
    expect(dump.headers['content-type']).toBe('application/sql')
    expect(dump.text.endsWith('-- The dump is complete.\n')).toBe(true)
    const plain = await createDatabase()
    try {
      await load(dump.text, plain.url)
      const schema = `"${tenant.name}"`
      const titles = await query(plain.url, `select to_json(title) from ${schema}.books order by id`)
      expect(titles.map((title) => JSON.parse(title))).toEqual(STRANGE)
      const joined = `select count(*) from ${schema}.books b join ${schema}.authors a on a.id = b.author_id and b.meta->>'title' = title`
      expect(await query(plain.url, joined)).toEqual([String(STRANGE.length)])
      const next = `insert into ${schema}.books (title, author_id) values ('next', 1) returning id`
      expect((await query(plain.url, next))[0]).toBe(String(STRANGE.length + 1))
      await expect(query(plain.url, `insert into ${schema}.authors (name) values ('Ada')`)).rejects.toThrow('unique')
      await expect(query(plain.url, `insert into ${schema}.books (title, author_id) values ('x', 99)`)).rejects.toThrow(
        'foreign key',
      )
      const ours = `select relname from pg_class where relnamespace = '${schema}'::regnamespace and relname like '\\_%'
        union all select attname from pg_attribute a join pg_class c on c.oid = attrelid
          where relnamespace = '${schema}'::regnamespace and attname = 'tenant_id'
        union all select polname from pg_policy`
      expect(await query(plain.url, ours)).toEqual([])
      if (isolation !== 'schema')
        expect(await query(plain.url, `select title from ${schema}.loud where title = 'PLAIN'`)).toEqual(['PLAIN'])
    } finally {
      await plain.drop()
    }
  })

  test('it is audited, and only the service key opens it', async () => {
    expect((await exportOf(tenant, tenant.keys.anon)).status).toBe(403)
    expect((await exportOf(tenant, 'aero_service_nonsense')).status).toBe(401)
    const log = await platform.call(tenant.name, '/platform/v1/audit-log', { key: tenant.keys.service })
    expect(log.json.data.map(({ action }: { action: string }) => action)).toContain('tenant.export')
  })
})

test('the platform exports a tenant only under a grant that the tenant has approved', async () => {
  const tenant = await platform.createTenant('guarded', { plan: 'pro' })
  await platform.createTodos(tenant)
  const path = `/v1/tenants/${tenant.tenant_id}/export`
  expect(await platform.control(path)).toMatchObject({ status: 403, json: { code: 'access_grant_required' } })
  const asked = await platform.control(`/v1/tenants/${tenant.tenant_id}/access-grants`, {
    body: { reason: 'The customer wants a copy', minutes: 10 },
  })
  expect((await platform.control(path)).status).toBe(403)
  const approve = `/platform/v1/access-grants/${asked.json.grant_id}/approve`
  await platform.call('guarded', approve, { method: 'POST', key: tenant.keys.service })
  const dump = await platform.control(path)
  expect(dump.status).toBe(200)
  expect(dump.text).toContain('todos')
  const log = await platform.call('guarded', '/platform/v1/audit-log', { key: tenant.keys.service })
  expect(log.json.data[0]).toMatchObject({ action: 'access_grant.use', after: { path: '/export' } })
})

test('a client that goes away in the middle leaves no connection behind, and the next one is served', async () => {
  const tenant = await platform.createTenant('large', { plan: 'enterprise' })
  await platform.createTodos(tenant)
  const title = 'x'.repeat(2_000)
  for (let i = 0; i < 10; i++)
    await platform.call('large', '/rest/v1/todos', {
      key: tenant.keys.service,
      body: Array.from({ length: 1_000 }, () => ({ title })),
    })
  const cut = await request(`${platform.endpoints.gateway}/platform/v1/export`, {
    headers: { host: `large.${platform.endpoints.domain}`, apikey: tenant.keys.service },
  })
  expect(cut.statusCode).toBe(200)
  for await (const chunk of cut.body) {
    expect(chunk.length).toBeGreaterThan(0)
    break
  }
  await vi.waitFor(async () => {
    const dump = await exportOf(tenant)
    expect(dump.status).toBe(200)
    expect(dump.text.length).toBeGreaterThan(20_000_000)
    expect(dump.text.endsWith('-- The dump is complete.\n')).toBe(true)
  }, 20_000)
})
