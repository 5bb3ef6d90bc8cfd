import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { TenantDatabase, type TestTenant } from '../test-support/tenant-database.ts'
import { TestBackend } from '../test-support/test-backend.ts'

let database: TenantDatabase
let backend: TestBackend
let acme: TestTenant
let globex: TestTenant

const CANARY = 'globex-canary'

beforeAll(async () => {
  database = await TenantDatabase.create()
  backend = await TestBackend.start([database.record])
})

afterAll(async () => {
  await backend?.stop()
  await database?.drop()
})

beforeEach(async () => {
  acme = await database.addTenant('acme')
  globex = await database.addTenant('globex')
  for (const tenant of [acme, globex]) {
    const made = await backend.call(tenant, '/schema/v1/collections', {
      body: { name: 'secrets', columns: [{ name: 'text', type: 'text' }] },
    })
    expect(made.status).toBe(201)
  }
  await backend.call(acme, '/rest/v1/secrets', { body: { text: 'acme-row' } })
  await backend.call(globex, '/rest/v1/secrets', { body: { text: CANARY } })
})

/** The context of acme, placed by mistake (or by an attack on control) in the schema of globex. */
const misplaced = () => ({ ...acme, schema: globex.schema })

/** Runs a statement as the request login with the role and tenant id given, past everything that the API does. */
async function rawRows(role: string, tenantId: string, sql: string): Promise<string> {
  const result = await database
    .asAdmin(
      `begin; select set_config('role', '${role}', true), set_config('app.tenant_id', '${tenantId}', true),
        set_config('app.role', 'service_role', true), set_config('request.jwt.claims', '{}', true); ${sql}; rollback`,
    )
    .catch(async (fault: Error) => {
      await database.asAdmin('rollback')
      return fault.message
    })
  return JSON.stringify(
    typeof result === 'string' ? result : (result as unknown as { rows: unknown[] }[]).map((r) => r.rows),
  )
}

test('with both walls, another schema cannot even be reached', async () => {
  expect(await rawRows(acme.schema, acme.tenantId, `select * from ${globex.schema}.secrets`)).toContain(
    'permission denied',
  )
})

test('with the policies dropped, no row is seen: neither another tenant’s nor one’s own', async () => {
  await database.asAdmin(`drop policy tenant_isolation on ${globex.schema}.secrets;
    drop policy aerodb_none on ${globex.schema}.secrets`)
  expect((await backend.call(globex, '/rest/v1/secrets')).json).toEqual([])
  expect((await backend.call(acme, '/rest/v1/secrets')).json).toEqual([{ id: 1, text: 'acme-row' }])
  expect(await rawRows(acme.schema, acme.tenantId, `select * from ${globex.schema}.secrets`)).not.toContain(CANARY)
})

test('with row level security switched off, the schema wall holds', async () => {
  // The event trigger would put it back.
  await database.asAdmin(`alter event trigger aerodb_ddl disable;
    alter table ${globex.schema}.secrets no force row level security, disable row level security;
    alter event trigger aerodb_ddl enable`)
  expect(await rawRows(acme.schema, acme.tenantId, `select * from ${globex.schema}.secrets`)).not.toContain(CANARY)
  expect((await backend.call(acme, '/rest/v1/secrets')).text).not.toContain(CANARY)
})

test('with the other schema granted to the role, row level security holds, for reading and writing', async () => {
  await database.asAdmin(`grant usage on schema ${globex.schema} to ${acme.schema};
    grant all on all tables in schema ${globex.schema} to ${acme.schema}`)
  expect(await rawRows(acme.schema, acme.tenantId, `select * from ${globex.schema}.secrets`)).not.toContain(CANARY)
  const wrongSchema = misplaced()
  const asAcmeRole = await backend.call(wrongSchema, '/rest/v1/secrets')
  expect(asAcmeRole.text).not.toContain(CANARY)
  await rawRows(
    acme.schema,
    acme.tenantId,
    `update ${globex.schema}.secrets set text = 'broken'; delete from ${globex.schema}.secrets`,
  )
  expect((await backend.call(globex, '/rest/v1/secrets')).json).toEqual([{ id: 1, text: CANARY }])
  const planted = await rawRows(
    acme.schema,
    acme.tenantId,
    `insert into ${globex.schema}.secrets (text, tenant_id) values ('planted', '${globex.tenantId}')`,
  )
  expect(planted).toContain('row-level security')
})

test('a context that names another schema, or another role, opens nothing', async () => {
  expect((await backend.call({ ...acme, schema: globex.schema }, '/rest/v1/secrets')).text).not.toContain(CANARY)
  expect((await backend.call({ ...acme, tenantId: acme.tenantId }, `/rest/v1/${globex.schema}.secrets`)).status).toBe(
    404,
  )
  expect((await backend.call(acme, '/rest/v1/secrets', { headers: { 'accept-profile': globex.schema } })).status).toBe(
    406,
  )
})

test('a policy that somebody adds later cannot widen past the tenant', async () => {
  await database.asAdmin(`grant usage on schema ${globex.schema} to ${acme.schema};
    grant all on all tables in schema ${globex.schema} to ${acme.schema};
    create policy everybody on ${globex.schema}.secrets using (true) with check (true)`)
  expect(await rawRows(acme.schema, acme.tenantId, `select * from ${globex.schema}.secrets`)).not.toContain(CANARY)
})

test('the request login alone, without a tenant, may do nothing', async () => {
  const login = database.record.request_login.user
  for (const sql of [
    `select * from ${globex.schema}.secrets`,
    'create table public.x (a int)',
    'create temp table x (a int)',
    `drop table ${globex.schema}.secrets`,
  ])
    expect(await rawRows(login, globex.tenantId, sql)).toMatch(/permission denied|must be owner/)
})
