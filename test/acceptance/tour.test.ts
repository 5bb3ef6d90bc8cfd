import { createClient } from '@supabase/supabase-js'
import { fetch as undiciFetch } from 'undici'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Tenant, TestPlatform } from '../support/platform.ts'

/** The newcomer's tour: `npm run up`, two tenants, their data, their walls, their limits, their usage. Only HTTP. */
let platform: TestPlatform
let acme: Tenant
let globex: Tenant

beforeAll(async () => {
  platform = await TestPlatform.start()
  acme = await platform.createTenant('acme')
  globex = await platform.createTenant('globex', { plan: 'enterprise' })
  await platform.createTodos(acme)
  await platform.createTodos(globex)
}, 120_000)

afterAll(() => platform?.close())

test('a tenant is created ready to serve, and is found by its name', async () => {
  expect(acme).toMatchObject({ name: 'acme', plan: 'free', isolation: 'schema', status: 'active' })
  expect(acme.keys.anon).toMatch(/^aero_anon_/)
  expect(acme.keys.service).toMatch(/^aero_service_/)
  const list = await platform.control('/v1/tenants?name=acm')
  expect(list.json.data.map((tenant: Tenant) => tenant.name)).toEqual(['acme'])
  expect(list.json.data[0].keys).toBeUndefined()
  const one = await platform.control(`/v1/tenants/${acme.tenant_id}`)
  expect(one.headers.etag).toBeTruthy()
  expect(one.json.database_url).toBe('https://acme.localhost')
})

test('a name is taken once; a bad name is refused with the field and the rule', async () => {
  const taken = await platform.control('/v1/tenants', { body: { name: 'acme' } })
  expect([taken.status, taken.json.code]).toEqual([409, 'name_taken'])
  const bad = await platform.control('/v1/tenants', { body: { name: 'Bad Name!', colour: 'red' } })
  expect(bad.status).toBe(400)
  expect(bad.headers['content-type']).toMatch(/^application\/problem\+json/)
  expect(bad.json.errors.map((error: { path: string }) => error.path)).toContain('name')
})

test('the platform API opens with a platform key and with nothing else', async () => {
  expect((await platform.call('control', '/v1/tenants')).status).toBe(401)
  expect((await platform.call('control', '/v1/tenants', { key: acme.keys.service })).status).toBe(401)
  expect(
    (await platform.call('control', '/v1/tenants', { key: `${platform.endpoints.platform_key.slice(0, -1)}_` })).status,
  ).toBe(401)
})

describe('rows', () => {
  test('are written and read with each key', async () => {
    for (const [tenant, title] of [
      [acme, 'anvil'],
      [globex, 'moat'],
    ] as const) {
      for (const key of [tenant.keys.anon, tenant.keys.service]) {
        const inserted = await platform.call(tenant.name, '/rest/v1/todos', {
          key,
          body: { title },
          headers: { prefer: 'return=representation' },
        })
        expect(inserted.status).toBe(201)
        expect(inserted.json).toEqual([{ id: expect.any(Number), title }])
      }
      const rows = await platform.call(tenant.name, '/rest/v1/todos?select=title&order=id', {
        headers: { apikey: tenant.keys.anon },
      })
      expect(rows.json).toEqual([{ title }, { title }])
    }
  })

  test('are filtered, ordered, changed and deleted', async () => {
    const key = globex.keys.service
    const at = (path: string) => `/rest/v1/todos${path}`
    await platform.call('globex', at(''), { key, body: [{ title: 'x1' }, { title: 'x2' }, { title: 'x3' }] })
    const page = await platform.call('globex', at('?title=like.x*&order=title.desc&limit=2&offset=1&select=title'), {
      key,
    })
    expect(page.json).toEqual([{ title: 'x2' }, { title: 'x1' }])
    const changed = await platform.call('globex', at('?title=eq.x2'), {
      key,
      method: 'PATCH',
      body: { title: 'y2' },
      headers: { prefer: 'return=representation' },
    })
    expect(changed.json).toEqual([{ id: expect.any(Number), title: 'y2' }])
    const deleted = await platform.call('globex', at('?title=in.(x1,x3,y2)'), { key, method: 'DELETE' })
    expect(deleted.status).toBe(204)
    expect((await platform.call('globex', at('?or=(title.like.x*,title.like.y*)'), { key })).json).toEqual([])
  })

  test('answer an unmodified supabase-js', async () => {
    const agent = platform.agent()
    const client = createClient(platform.tenantUrl('globex'), globex.keys.service, {
      auth: { persistSession: false, autoRefreshToken: false },
      global: {
        fetch: (input, init) =>
          undiciFetch(input as string, { ...(init as object), dispatcher: agent }) as unknown as Promise<Response>,
      },
    })
    const inserted = await client.from('todos').insert({ title: 'from supabase-js' }).select().single()
    expect(inserted.error).toBeNull()
    expect(inserted.data).toEqual({ id: expect.any(Number), title: 'from supabase-js' })
    const { data, count } = await client
      .from('todos')
      .select('title', { count: 'exact' })
      .eq('title', 'from supabase-js')
    expect([data, count]).toEqual([[{ title: 'from supabase-js' }], 1])
    expect((await client.from('nothing').select()).error?.code).toBe('PGRST205')

    expect((await client.storage.createBucket('pictures', { public: true })).error).toBeNull()
    const pictures = client.storage.from('pictures')
    expect((await pictures.upload('cats/tom.txt', 'meow', { contentType: 'text/plain' })).error).toBeNull()
    expect(await (await pictures.download('cats/tom.txt')).data?.text()).toBe('meow')
    const { publicUrl } = pictures.getPublicUrl('cats/tom.txt').data
    expect(await (await undiciFetch(publicUrl, { dispatcher: agent })).text()).toBe('meow')
    await agent.close()
  })
})

describe('a tenant never reaches another', () => {
  test("with its own key on the other's host", async () => {
    for (const key of [acme.keys.anon, acme.keys.service]) {
      const answer = await platform.call('globex', '/rest/v1/todos', { key })
      expect([answer.status, answer.json.code]).toEqual([401, expect.any(String)])
    }
    expect((await platform.call('globex', '/rest/v1/todos')).status).toBe(401)
  })

  test("with internal or forwarding headers, or the other's schema in a parameter", async () => {
    const key = acme.keys.service
    const own = (await platform.call('acme', '/rest/v1/todos?order=id', { key })).json
    const headers = {
      'x-aerodb-context': 'e30.e30',
      'x-aerodb-service': 'control.1.x',
      'x-forwarded-host': 'globex.localhost',
      forwarded: 'host=globex.localhost',
    }
    expect((await platform.call('acme', '/rest/v1/todos?order=id', { key, headers })).json).toEqual(own)
    const schema = `t_${globex.tenant_id.slice(4)}`
    for (const path of [
      `/rest/v1/${schema}.todos`,
      `/rest/v1/todos?select=title,${schema}.todos(title)`,
      `/rest/v1/todos?${schema}.todos.title=eq.moat`,
      `/rest/v1/todos?order=${schema}.todos.title`,
      '/rest/v1/todos?select=tenant_id',
      `/rest/v1/todos?tenant_id=eq.${globex.tenant_id}`,
    ]) {
      const answer = await platform.call('acme', path, { key })
      expect(answer.status, path).toBeGreaterThanOrEqual(400)
      expect(answer.status, path).toBeLessThan(500)
    }
    for (const header of ['accept-profile', 'content-profile']) {
      const answer = await platform.call('acme', '/rest/v1/todos', { key, headers: { [header]: schema } })
      expect(answer.text).not.toContain('moat')
    }
    const written = await platform.call('acme', '/rest/v1/todos', {
      key,
      body: { title: 'evil', tenant_id: globex.tenant_id },
    })
    expect(written.status).toBeGreaterThanOrEqual(400)
  })

  test('by an unknown host', async () => {
    const answer = await platform.call('nobody', '/rest/v1/todos', { key: acme.keys.service })
    expect([answer.status, answer.json.code]).toEqual([404, 'unknown_host'])
  })

  test('and its tenant_id column shows in no answer', async () => {
    for (const path of ['/rest/v1/todos', '/schema/v1/collections', '/schema/v1/collections/todos', '/rest/v1/']) {
      const answer = await platform.call('acme', path, { key: acme.keys.service })
      expect(answer.status, path).toBe(200)
      expect(answer.text, path).not.toContain('"tenant_id"')
    }
  })
})

test('every answer has a request id, and problems carry it', async () => {
  const answer = await platform.call('nobody', '/')
  expect(answer.headers['x-request-id']).toBe(answer.json.request_id)
  expect((await platform.call('acme', '/health')).headers['x-request-id']).toBeTruthy()
})

test('health needs no key', async () => {
  const health = await platform.call('acme', '/health')
  expect([health.status, health.json]).toMatchObject([200, { status: 'ok', tenant: 'acme' }])
})

test('30 requests in a second on free: the limit is admitted, the rest is 429 and not counted', async () => {
  const limited = await platform.createTenant('limited')
  await platform.createTodos(limited)
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  const before = (await settledUsage(limited, 1)).total
  const answers = await Promise.all(
    Array.from({ length: 30 }, () => platform.call('limited', '/rest/v1/todos', { key: limited.keys.anon })),
  )
  const refused = answers.filter((answer) => answer.status === 429)
  const admitted = answers.filter((answer) => answer.status === 200)
  expect(admitted.length + refused.length).toBe(30)
  expect(refused.length).toBeGreaterThan(0)
  for (const answer of refused) {
    expect(answer.json.code).toBe('rate_limited')
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  }
  for (const answer of answers) {
    expect(answer.headers.ratelimit).toBeTruthy()
    expect(answer.headers['ratelimit-policy']).toBeTruthy()
    for (const name of ['limit', 'remaining', 'reset']) expect(answer.headers[`x-ratelimit-${name}`]).toBeTruthy()
  }
  expect((await settledUsage(limited, before + admitted.length)).total).toBe(before + admitted.length)
})

test('1 000 requests are exactly 1 000 in the usage, by status and endpoint, also across a kill -9 of a gateway worker', async () => {
  const busy = await platform.createTenant('busy', { plan: 'enterprise' })
  await platform.createTodos(busy)
  const seen: Record<string, number> = { '201': 1 }
  let sent = 0
  const client = async () => {
    while (sent < 1_000) {
      const number = sent++
      if (number === 500) process.kill(platform.endpoints.pids.gateway?.[0] ?? -1, 'SIGKILL')
      const path = number % 10 === 0 ? '/rest/v1/missing' : '/rest/v1/todos'
      const answer = await platform.call('busy', path, { key: busy.keys.anon }).catch(() => undefined)
      if (answer !== undefined) seen[answer.status] = (seen[answer.status] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: 20 }, client))
  const total = Object.values(seen).reduce((sum, count) => sum + count, 0)
  const usage = await settledUsage(busy, total)
  // A response that was under way when its worker was killed may be recorded although the client saw a broken connection.
  expect(usage.total - total).toBeGreaterThanOrEqual(0)
  expect(usage.total - total).toBeLessThanOrEqual(1_001 - total)
  expect(usage.by_status['200']).toBeGreaterThanOrEqual(seen['200'] ?? 0)
  expect(usage.by_status['404']).toBeGreaterThanOrEqual(seen['404'] ?? 0)
  const endpoints = usage.by_endpoint.map(
    (entry: { method: string; endpoint: string; status: number }) =>
      `${entry.method} ${entry.endpoint} ${entry.status}`,
  )
  expect(endpoints).toEqual(
    expect.arrayContaining(['GET /rest/v1/todos 200', 'GET /rest/v1/missing 404', 'POST /schema/v1/collections 201']),
  )
  await vi.waitFor(async () => expect((await platform.refresh()).pids.gateway).toHaveLength(2), { timeout: 10_000 })
}, 120_000)

test('a suspended tenant gets 403 at every worker within a second, and is back when resumed', async () => {
  const path = `/v1/tenants/${globex.tenant_id}`
  const statuses = async () => {
    const answers = await Promise.all(
      Array.from({ length: 16 }, () =>
        platform.call('globex', '/rest/v1/todos', { key: globex.keys.anon, headers: { connection: 'close' } }),
      ),
    )
    return [...new Set(answers.map((answer) => `${answer.status} ${answer.json.code ?? ''}`))]
  }
  expect((await platform.control(path, { method: 'PATCH', body: { status: 'suspended' } })).status).toBe(200)
  await vi.waitFor(async () => expect(await statuses()).toEqual(['403 tenant_suspended']), {
    timeout: 1_000,
    interval: 50,
  })
  expect((await platform.control(path, { method: 'PATCH', body: { status: 'active' } })).status).toBe(200)
  await vi.waitFor(async () => expect(await statuses()).toEqual(['200 ']), { timeout: 1_000, interval: 50 })
})

test('a deleted tenant is 404 at once, is restored with its data, and is gone when purged', async () => {
  const doomed = await platform.createTenant('doomed', { plan: 'enterprise' })
  await platform.createTodos(doomed)
  await platform.call('doomed', '/rest/v1/todos', { key: doomed.keys.service, body: { title: 'kept' } })
  const path = `/v1/tenants/${doomed.tenant_id}`
  const read = () => platform.call('doomed', '/rest/v1/todos?select=title', { key: doomed.keys.service })
  expect((await platform.control(path, { method: 'DELETE' })).status).toBe(202)
  await vi.waitFor(async () => expect((await read()).status).toBe(404), { timeout: 1_000, interval: 50 })
  await vi.waitFor(async () => expect((await platform.control(path)).json.status).toBe('deleted'), { timeout: 10_000 })
  expect((await platform.control(`${path}/restore`, { method: 'POST' })).status).toBeLessThan(300)
  await vi.waitFor(async () => expect((await read()).json).toEqual([{ title: 'kept' }]), { timeout: 10_000 })
  const purge = await platform.control(`${path}?purge=true`, { method: 'DELETE' })
  expect(purge.status).toBe(202)
  await vi.waitFor(
    async () =>
      expect((await platform.control(`/v1/operations/${purge.json.operation_id ?? purge.json.id}`)).json.status).toBe(
        'succeeded',
      ),
    { timeout: 15_000 },
  )
  expect((await read()).status).toBe(404)
})

/** The api_requests of a tenant once `atLeast` of them are there, or what there is after ten seconds. */
async function settledUsage(tenant: Tenant, atLeast: number) {
  let requests = (await platform.usage(tenant)).json.resources.api_requests
  for (let tries = 0; tries < 50 && requests.total < atLeast; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 200))
    requests = (await platform.usage(tenant)).json.resources.api_requests
  }
  return requests
}
