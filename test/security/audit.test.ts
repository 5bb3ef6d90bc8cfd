import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestPlatform } from '../support/platform.ts'
import { runAudit } from './run-audit.ts'

let platform: TestPlatform

beforeAll(async () => {
  platform = await TestPlatform.start()
}, 120_000)

afterAll(() => platform?.close())

const audit = () => runAudit(platform)

test('the audit finds nothing on a platform as it is started, and names a wall that was taken away', async () => {
  const tenant = await platform.createTenant('audited')
  await platform.createTodos(tenant)
  const clean = await audit()
  expect(clean.code, clean.output).toBe(0)
  const admin = new pg.Client({ connectionString: platform.endpoints.shared_database_urls[0] })
  await admin.connect()
  // (Row-level security itself cannot be lowered: an event trigger raises it again at once.)
  await admin.query(`drop policy tenant_isolation on t_${tenant.tenant_id.slice(4)}.todos`)
  await admin.end()
  const broken = await audit()
  expect(broken.code, broken.output).toBe(1)
  expect(broken.output).toContain('audited')
}, 120_000)

test('one run reports every wall that is taken away, and the canary row still does not come through', async () => {
  const [mine, theirs] = await Promise.all([platform.createTenant('robber'), platform.createTenant('robbed')])
  for (const tenant of [mine, theirs]) await platform.createTodos(tenant)
  const secret = 'canary-of-the-robbed'
  await platform.call(theirs.name, '/rest/v1/todos', { key: theirs.keys.service, body: { title: secret } })
  const [schema, target] = [mine, theirs].map(({ tenant_id }) => `t_${tenant_id.slice(4)}`)
  const admin = new pg.Client({ connectionString: platform.endpoints.shared_database_urls[0] })
  await admin.connect()
  try {
    await admin.query(`
      grant usage on schema ${target} to ${schema};
      grant all on ${target}.todos to ${schema};
      grant select on ${target}.todos to public;
      create policy everybody on ${target}.todos using (true) with check (true);
      alter role ${schema} bypassrls;
      alter role ${schema} set search_path = ${target};
      grant ${target} to ${schema};
      create view ${schema}.window as select * from ${target}.todos;
      create function ${schema}.lift() returns text language sql security definer as 'select current_user::text';
      select lo_create(0)`)
    const broken = await audit()
    expect(broken.code).toBe(1)
    for (const code of [
      'grant_across_tenants',
      'grant_to_public',
      'role_attribute',
      'role_setting',
      'membership_wrong',
      'view_without_invoker',
      'security_definer_function',
      'large_object',
    ])
      expect(broken.output).toContain(code)
    for (const path of ['todos', `${target}.todos`, 'todos?select=*', `todos?title=eq.${secret}`])
      expect((await platform.call(mine.name, `/rest/v1/${path}`, { key: mine.keys.service })).text).not.toContain(
        `"${secret}"`,
      )
  } finally {
    await admin.end()
  }
}, 120_000)
