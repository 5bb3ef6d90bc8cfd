import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseKeyKind } from '../../tenancy/key.ts'
import { expectDocumented } from '../testing/documented-statuses.ts'
import { eventually } from '../testing/eventually.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World, withClient } from '../testing/world.ts'

let world: World
let control: TestControl
let counter = 0

beforeAll(async () => {
  world = await startWorld()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
  })
})

afterAll(async () => {
  await control.stop()
  await world.stop()
})

const freshName = () => `tenant-${++counter}`

async function create(body: Record<string, unknown> = {}) {
  const created = await control.call('POST', '/v1/tenants', { body: { name: freshName(), ...body } })
  expect(created.status).toBe(201)
  return { ...created.body, path: `/v1/tenants/${created.body.tenant_id}` }
}

async function whenSucceeded(operationId: string) {
  await eventually(async () =>
    expect((await control.call('GET', `/v1/operations/${operationId}`)).body.status).toBe('succeeded'),
  )
}

test('a create answers 201 with a serving tenant and its keys', async () => {
  const created = await control.call('POST', '/v1/tenants', { body: { name: freshName() } })
  expect(created).toMatchObject({
    status: 201,
    body: { plan: 'free', isolation: 'schema', status: 'active', region: 'local', quotas: { requests_per_second: 20 } },
  })
  expect(created.body.database_url).toBe(`https://${created.body.name}.localhost`)
  expect(parseKeyKind(created.body.keys.anon)).toBe('anon')
  expect(parseKeyKind(created.body.keys.service)).toBe('service')
  expect(created.headers.get('x-request-id')).not.toBeNull()
})

test('Prefer: respond-async answers 202 with an operation that ends', async () => {
  const accepted = await control.call('POST', '/v1/tenants', {
    body: { name: freshName() },
    headers: { prefer: 'respond-async' },
  })
  expect(accepted).toMatchObject({ status: 202, body: { kind: 'create', status: 'running' } })
  expect(accepted.headers.get('location')).toBe(`/v1/operations/${accepted.body.operation_id}`)
  await whenSucceeded(accepted.body.operation_id)
  expect((await control.call('GET', `/v1/tenants/${accepted.body.tenant_id}`)).body.status).toBe('active')
})

test('of 20 concurrent creates of one name exactly one wins', async () => {
  const name = freshName()
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => control.call('POST', '/v1/tenants', { body: { name } })),
  )
  expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1)
  const refused = answers.filter((answer) => answer.status !== 201)
  expect(refused.every((answer) => answer.status === 409 && answer.body.code === 'name_taken')).toBe(true)
  const listed = await control.call('GET', `/v1/tenants?name=${name}`)
  expect(listed.body.data.filter((tenant: { name: string }) => tenant.name === name)).toHaveLength(1)
})

test.each([
  [{}, 'name'],
  [{ name: 'ab' }, 'name'],
  [{ name: 'control' }, 'name'],
  [{ name: 'fine-name', plan: 'platinum' }, 'plan'],
  [{ name: 'fine-name', isolation: 'database' }, 'isolation'],
  [{ name: 'fine-name', isolation: 'galaxy' }, 'isolation'],
  [{ name: 'fine-name', colour: 'red' }, 'colour'],
  [{ name: 'fine-name', region: 'Über' }, 'region'],
  [{ name: 'fine-name', backend: 'nowhere' }, 'backend'],
])('%j is refused, naming %s', async (body, path) => {
  const answer = await control.call('POST', '/v1/tenants', { body })
  expect(answer.status).toBe(400)
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(answer.body.errors).toContainEqual(expect.objectContaining({ path }))
})

test('malformed JSON, another content type and a body that is too large are refused as such', async () => {
  expect(await control.call('POST', '/v1/tenants', { raw: '{"name":' })).toMatchObject({
    status: 400,
    body: { code: 'malformed_json' },
  })
  const form = { raw: 'name=abc', headers: { 'content-type': 'application/x-www-form-urlencoded' } }
  expect((await control.call('POST', '/v1/tenants', form)).status).toBe(415)
  expect((await control.call('POST', '/v1/tenants', { raw: `"${'x'.repeat(70_000)}"` })).status).toBe(413)
})

test('a patch sets overrides, null takes them back to the plan, and a stale If-Match is refused', async () => {
  const tenant = await create()
  const first = await control.call('GET', tenant.path)
  const etag = first.headers.get('etag') ?? ''
  expect((await control.call('GET', tenant.path, { headers: { 'if-none-match': etag } })).status).toBe(304)
  const patched = await control.call('PATCH', tenant.path, {
    body: { plan: 'pro', quotas: { requests_per_second: 5 } },
    headers: { 'if-match': etag, 'content-type': 'application/merge-patch+json' },
  })
  expect(patched).toMatchObject({ status: 200, body: { plan: 'pro', quotas: { requests_per_second: 5 } } })
  const stale = await control.call('PATCH', tenant.path, {
    body: { status: 'suspended' },
    headers: { 'if-match': etag },
  })
  expect(stale).toMatchObject({ status: 412, body: { code: 'precondition_failed' } })
  const back = await control.call('PATCH', tenant.path, { body: { quotas: { requests_per_second: null } } })
  expect(back.body.quotas.requests_per_second).toBe(200)
  expect((await control.call('PATCH', tenant.path, { body: { quotas: { unknown: 1 } } })).status).toBe(400)
})

test('of two patches with the same If-Match exactly one goes through', async () => {
  const tenant = await create()
  const etag = (await control.call('GET', tenant.path)).headers.get('etag') ?? ''
  const patches = await Promise.all(
    [1, 2, 3, 4].map((rps) =>
      control.call('PATCH', tenant.path, {
        body: { quotas: { requests_per_second: rps } },
        headers: { 'if-match': etag },
      }),
    ),
  )
  expect(patches.map((answer) => answer.status).toSorted()).toEqual([200, 412, 412, 412])
})

test('a deleted tenant frees its name, is restored unless the name was taken, and a purge ends it', async () => {
  const tenant = await create()
  await control.call('PATCH', tenant.path, { body: { status: 'suspended' } })
  const deleted = await control.call('DELETE', tenant.path)
  expect(deleted).toMatchObject({ status: 202, body: { kind: 'delete' } })
  await whenSucceeded(deleted.body.operation_id)
  const gone = await control.call('GET', tenant.path)
  expect(gone.body.status).toBe('deleted')
  const days = (Date.parse(gone.body.purge_after) - Date.parse(gone.body.deleted_at)) / 86_400_000
  expect(Math.round(days)).toBe(7)
  expect((await control.call('DELETE', tenant.path)).status).toBe(409)
  expect((await control.call('PATCH', tenant.path, { body: { status: 'active' } })).status).toBe(409)

  const usurper = await create({ name: tenant.name })
  const refused = await control.call('POST', `${tenant.path}/restore`)
  expect(refused).toMatchObject({ status: 409, body: { code: 'name_taken' } })
  await whenSucceeded((await control.call('DELETE', `${usurper.path}?purge=true`)).body.operation_id)
  const restored = await control.call('POST', `${tenant.path}/restore`)
  expect(restored.status).toBe(202)
  await whenSucceeded(restored.body.operation_id)
  expect((await control.call('GET', tenant.path)).body.status).toBe('suspended')
  expect((await control.call('POST', `${tenant.path}/restore`)).status).toBe(409)

  await whenSucceeded((await control.call('DELETE', `${tenant.path}?purge=true`)).body.operation_id)
  expect((await control.call('GET', tenant.path)).status).toBe(404)
  const schema = `t_${tenant.tenant_id.slice(4)}`
  const left = await withClient(world.sharedUrl, (client) =>
    client.query('select 1 from pg_roles where rolname = $1 union all select 1 from pg_namespace where nspname = $1', [
      schema,
    ]),
  )
  expect(left.rowCount).toBe(0)
})

test('conflicting requests at once: one operation runs, the others get 409', async () => {
  const tenant = await create()
  const answers = await Promise.all(Array.from({ length: 8 }, () => control.call('DELETE', tenant.path)))
  expect(answers.filter((answer) => answer.status === 202)).toHaveLength(1)
  expect(answers.filter((answer) => answer.status === 409)).toHaveLength(7)
})

test('a list is paged without gaps and filtered', async () => {
  const made = [await create({ plan: 'pro' }), await create({ plan: 'pro' }), await create({ plan: 'pro' })]
  const seen: string[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: Awaited<ReturnType<TestControl['call']>> = await control.call(
      'GET',
      `/v1/tenants?limit=2&plan=pro${cursor === '' ? '' : `&cursor=${cursor}`}`,
    )
    expect(page.body.data.length).toBeLessThanOrEqual(2)
    seen.push(...page.body.data.map((tenant: { tenant_id: string }) => tenant.tenant_id))
    cursor = page.body.next_cursor
  }
  expect(new Set(seen).size).toBe(seen.length)
  for (const tenant of made) expect(seen).toContain(tenant.tenant_id)
  expect((await control.call('GET', '/v1/tenants?limit=201')).status).toBe(400)
  expect((await control.call('GET', '/v1/tenants?cursor=xyz')).status).toBe(400)
  expect((await control.call('GET', '/v1/tenants?status=sleeping')).status).toBe(400)
  expect((await control.call('GET', '/v1/tenants?name=%25')).body.data).toEqual([])
})

test('usage is 503 with Retry-After while metering is away, and 404 for an unknown tenant', async () => {
  const tenant = await create()
  const usage = await control.call('GET', `${tenant.path}/usage`)
  expect(usage).toMatchObject({ status: 503, body: { code: 'metering_unavailable' } })
  expect(usage.headers.get('retry-after')).not.toBeNull()
  expect((await control.call('GET', '/v1/tenants/ten_x/usage')).status).toBe(404)
  expect((await control.call('GET', `${tenant.path}/usage/2026-13`)).status).toBe(400)
})

test('the document, the reference and its script are served by us', async () => {
  const document = await control.call('GET', '/v1/openapi.json', { key: null })
  expect(document.body.openapi).toBe('3.1.0')
  expect(Object.keys(document.body.paths)).toContain('/v1/tenants/{tenant_id}')
  // Each call of these tests is held against it.
  await expectDocumented(control.url, 'GET', '/v1/tenants/ten_x?limit=1', 404)
  await expect(expectDocumented(control.url, 'GET', '/v1/tenants/ten_x?limit=1', 418)).rejects.toThrow('does not name')
  const page = await control.call('GET', '/docs', { key: null })
  expect(page.body).toContain('/docs/scalar.js')
  expect(page.body).not.toMatch(/(?:src|href)="https?:/)
  const script = await control.call('GET', '/docs/scalar.js', { key: null })
  expect(script.body.length).toBeGreaterThan(1_000_000)
})
