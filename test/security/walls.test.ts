import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Tenant, TestPlatform } from '../support/platform.ts'

/**
 * Two walls stand between tenants on a shared server: the tenant's role reaches its own schema only, and forced row-level
 * security admits its own rows only. Each is taken away here by the server's administrator, and still no row gets through.
 */
let platform: TestPlatform
let admin: pg.Client
let alice: Tenant
let mallory: Tenant
const CANARY = 'canary-of-alice'

const schemaOf = (tenant: Tenant) => `t_${tenant.tenant_id.slice(4)}`

beforeAll(async () => {
  platform = await TestPlatform.start()
  admin = new pg.Client({ connectionString: platform.endpoints.shared_database_urls[0] })
  await admin.connect()
}, 120_000)

afterAll(async () => {
  await admin?.end()
  await platform?.close()
})

let round = 0
beforeEach(async () => {
  round++
  alice = await platform.createTenant(`alice-${round}`, { plan: 'enterprise' })
  mallory = await platform.createTenant(`mallory-${round}`, { plan: 'enterprise' })
  for (const tenant of [alice, mallory]) await platform.createTodos(tenant)
  await platform.call(alice.name, '/rest/v1/todos', { key: alice.keys.service, body: { title: CANARY } })
  await platform.call(mallory.name, '/rest/v1/todos', { key: mallory.keys.service, body: { title: 'mine' } })
})

/** Everything that mallory can ask for, with each of its keys; none may hold the canary. */
async function malloryReads(): Promise<string> {
  let text = ''
  for (const key of [mallory.keys.anon, mallory.keys.service]) {
    for (const path of [
      '/rest/v1/todos',
      '/rest/v1/todos?select=*',
      `/rest/v1/todos?title=eq.${CANARY}`,
      '/rest/v1/',
      '/schema/v1/collections',
    ]) {
      text += (await platform.call(mallory.name, path, { key })).text
    }
  }
  return text
}

/** Runs SQL as the backend does for mallory: the request login's rights, mallory's role and context. */
async function asMallory(sql: string): Promise<pg.QueryResult> {
  await admin.query('begin')
  try {
    await admin.query(`set local role ${pg.escapeIdentifier(schemaOf(mallory))}`)
    await admin.query(`select set_config('app.tenant_id', $1, true), set_config('app.role', 'service_role', true)`, [
      mallory.tenant_id,
    ])
    return await admin.query(sql)
  } finally {
    await admin.query('rollback')
  }
}

test('with both walls up, the other schema is out of reach', async () => {
  await expect(asMallory(`select * from ${schemaOf(alice)}.todos`)).rejects.toMatchObject({ code: '42501' })
  expect(await malloryReads()).not.toContain(CANARY)
})

test("without the role wall (granted the other's schema), row-level security lets no row through, to read or to write", async () => {
  const [theirs, mine] = [schemaOf(alice), schemaOf(mallory)]
  await admin.query(
    `grant usage on schema ${theirs} to ${mine}; grant all on all tables in schema ${theirs} to ${mine}; grant all on all sequences in schema ${theirs} to ${mine}`,
  )
  expect((await asMallory(`select * from ${theirs}.todos`)).rows).toEqual([])
  expect((await asMallory(`update ${theirs}.todos set title = 'x'`)).rowCount).toBe(0)
  expect((await asMallory(`delete from ${theirs}.todos`)).rowCount).toBe(0)
  await expect(
    asMallory(`insert into ${theirs}.todos (title, tenant_id) values ('x', '${alice.tenant_id}')`),
  ).rejects.toMatchObject({ code: '42501' })
  expect(await malloryReads()).not.toContain(CANARY)
  expect((await platform.call(alice.name, '/rest/v1/todos?select=title', { key: alice.keys.service })).json).toEqual([
    { title: CANARY },
  ])
})

test('without the policy wall (policies dropped), nobody sees a row', async () => {
  for (const tenant of [alice, mallory]) {
    const policies = await admin.query<{ tablename: string; policyname: string }>(
      'select tablename, policyname from pg_policies where schemaname = $1',
      [schemaOf(tenant)],
    )
    expect(policies.rowCount).toBeGreaterThan(0)
    for (const { tablename, policyname } of policies.rows)
      await admin.query(
        `drop policy ${pg.escapeIdentifier(policyname)} on ${schemaOf(tenant)}.${pg.escapeIdentifier(tablename)}`,
      )
  }
  expect(await malloryReads()).not.toContain(CANARY)
  await expect(asMallory(`select * from ${schemaOf(alice)}.todos`)).rejects.toMatchObject({ code: '42501' })
})

test('without row-level security at all, the role wall still holds', async () => {
  for (const tenant of [alice, mallory])
    await admin.query(`alter table ${schemaOf(tenant)}.todos no force row level security, disable row level security`)
  expect(await malloryReads()).not.toContain(CANARY)
  await expect(asMallory(`select * from ${schemaOf(alice)}.todos`)).rejects.toMatchObject({ code: '42501' })
})

test('a widening policy added later cannot show rows of another tenant', async () => {
  const [theirs, mine] = [schemaOf(alice), schemaOf(mallory)]
  await admin.query(
    `create policy oops on ${theirs}.todos using (true) with check (true); grant usage on schema ${theirs} to ${mine}; grant all on ${theirs}.todos to ${mine}`,
  )
  expect((await asMallory(`select * from ${theirs}.todos`)).rows).toEqual([])
})

test('a pool that is tagged for the wrong tenant shows nothing: neither its role with the other context, nor the other way round', async () => {
  for (const [role, context] of [
    [alice, mallory],
    [mallory, alice],
  ] as const) {
    await admin.query('begin')
    await admin.query(`set local role ${pg.escapeIdentifier(schemaOf(role))}`)
    await admin.query(`select set_config('app.tenant_id', $1, true), set_config('app.role', 'service_role', true)`, [
      context.tenant_id,
    ])
    expect((await admin.query(`select * from ${schemaOf(role)}.todos`)).rows).toEqual([])
    await expect(
      admin.query(`insert into ${schemaOf(role)}.todos (title, tenant_id) values ('x', '${role.tenant_id}')`),
    ).rejects.toMatchObject({ code: '42501' })
    await admin.query('rollback')
  }
})

test('a context that is missing or empty shows nothing', async () => {
  for (const value of ['', 'nonsense']) {
    await admin.query('begin')
    await admin.query(`set local role ${pg.escapeIdentifier(schemaOf(alice))}`)
    await admin.query(`select set_config('app.tenant_id', $1, true), set_config('app.role', 'service_role', true)`, [
      value,
    ])
    expect((await admin.query(`select * from ${schemaOf(alice)}.todos`)).rows).toEqual([])
    await admin.query('rollback')
  }
})

test('no login of the request path owns, bypasses or is a superuser; nothing is granted to PUBLIC; no SECURITY DEFINER', async () => {
  const roles = await admin.query(
    `select rolname from pg_roles where (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication and rolname <> 'aerodb_replication') and rolname ~ '^(aerodb_|t_)' and rolname <> 'aerodb_mover'`,
  )
  expect(roles.rows).toEqual([])
  // The one that passes row level security is in no request's path: no password opens it, nobody may become it, and it
  // has rights on a tenant's tables only while that tenant is being moved.
  const mover = await admin.query(
    `select rolsuper or rolcreaterole or rolcreatedb or rolreplication as has_more, rolpassword is not null as has_password,
       (select count(*)::int from pg_auth_members where roleid = role.oid or member = role.oid) as members,
       (select count(*)::int from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a
        where a.grantee = role.oid and n.nspname ~ '^t_') as tables
     from pg_authid role where rolname = 'aerodb_mover'`,
  )
  expect(mover.rows).toEqual([{ has_more: false, has_password: false, members: 0, tables: 0 }])
  const owned = await admin.query(
    `select c.relname from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname = 'aerodb_request' or r.rolname ~ '^t_'`,
  )
  expect(owned.rows).toEqual([])
  const tables = await admin.query(
    `select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname ~ '^t_' and c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity) and n.nspname in ($1, $2)`,
    [schemaOf(alice), schemaOf(mallory)],
  )
  expect(tables.rows).toEqual([])
  const definers = await admin.query(
    `select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.prosecdef and n.nspname !~ '^(pg_|information_schema)'`,
  )
  expect(definers.rows).toEqual([])
  const toPublic = await admin.query(
    `select n.nspname from pg_namespace n, aclexplode(n.nspacl) a where a.grantee = 0 and n.nspname ~ '^(t_|public$)'`,
  )
  expect(toPublic.rows).toEqual([])
  const inherited = await admin.query(
    `select count(*)::int as n from pg_auth_members m join pg_roles r on r.oid = m.member where r.rolname = 'aerodb_request' and (m.inherit_option or m.admin_option)`,
  )
  expect(inherited.rows).toEqual([{ n: 0 }])
})
