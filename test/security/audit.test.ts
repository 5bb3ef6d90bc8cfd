import { Redis } from 'ioredis'
import pg from 'pg'
import { request } from 'undici'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
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

test('a pool tagged for another tenant, and a request around the gateway, bring no row; one run names the wrong tag', async () => {
  const [mine, theirs] = await Promise.all([platform.createTenant('mistagged'), platform.createTenant('tagged')])
  for (const tenant of [mine, theirs]) await platform.createTodos(tenant)
  const secret = 'canary-of-the-tagged'
  await platform.call(mine.name, '/rest/v1/todos', { key: mine.keys.service, body: { title: 'its own' } })
  await platform.call(theirs.name, '/rest/v1/todos', { key: theirs.keys.service, body: { title: secret } })
  const [schema, target] = [mine, theirs].map(({ tenant_id }) => `t_${tenant_id.slice(4)}`)
  const redis = new Redis(platform.endpoints.redis_url)
  const key = `aerodb:directory:tenant:{${mine.name}}`
  const kept = await redis.hgetall(key)
  try {
    // Whoever writes to Redis gives the tenant the other's schema, its role, or both.
    for (const placement of [
      { server: 'shared-0', schema: target, role: target },
      { server: 'shared-0', schema: target, role: schema },
      { server: 'shared-0', schema, role: target },
    ]) {
      const document = JSON.stringify({ ...JSON.parse(kept.document ?? ''), placement })
      await redis.hset(key, { document, version: Number(kept.version) })
      const announcement = { kind: 'tenant', key: mine.name, version: Number(kept.version) + 1 }
      await redis.publish('aerodb:directory:announce', JSON.stringify(announcement))
      // It has taken effect, at every worker: not even its own row is there.
      await vi.waitFor(async () => {
        for (let round = 0; round < 8; round++) {
          const headers = { connection: 'close' }
          const answer = await platform.call(mine.name, '/rest/v1/todos', { key: mine.keys.service, headers })
          expect(answer.text).not.toContain('its own')
        }
      })
      for (let round = 0; round < 20; round++)
        for (const path of ['todos', `todos?title=eq.${secret}`, 'todos?select=title', '']) {
          const answer = await platform.call(mine.name, `/rest/v1/${path}`, { key: mine.keys.service })
          expect(answer.text).not.toContain(`"${secret}"`)
        }
    }
    const broken = await audit()
    expect(broken.code, broken.output).toBe(1)
    expect(broken.output).toMatch(/published_wrong {2}directory {2}tenant mistagged/)
  } finally {
    await redis.hset(key, kept)
    redis.disconnect()
  }
  // The gateway left out: the backend believes no context that nobody signed.
  const context = { tenant_id: theirs.tenant_id, name: theirs.name, isolation: 'schema', role: 'service_role' }
  const forged = Buffer.from(
    JSON.stringify({ ...context, placement: { server: 'shared-0', schema: target, role: target } }),
  ).toString('base64url')
  for (const header of [undefined, forged, `${forged}.`, `${forged}.${forged}`]) {
    const answer = await request(`${platform.endpoints.backend}/rest/v1/todos`, {
      headers: header === undefined ? {} : { 'x-aerodb-context': header },
    })
    expect([header, answer.statusCode]).toEqual([header, 401])
    expect(await answer.body.text()).not.toContain(secret)
  }
}, 120_000)
