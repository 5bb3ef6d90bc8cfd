import { createHmac } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { makeLogger } from '../runtime/log.ts'
import { connectRedis, type RedisClient, whenRedisReady } from '../runtime/redis.ts'
import type { RedisServer } from '../runtime/redis-server.ts'
import { DirectoryPublisher } from '../tenancy/directory-publisher.ts'
import { makeKey } from '../tenancy/key.ts'
import { CONTEXT_HEADER, RequestContextCodec } from '../tenancy/request-context.ts'
import { startRedis } from '../test/support/redis.ts'
import { GatewayProcess } from './testing/gateway-process.ts'
import { INTERNAL_SECRET, makeTenant, type TestTenant, UNLIMITED } from './testing/snapshots.ts'
import { StubUpstream } from './testing/stub-upstream.ts'

let redisServer: RedisServer
let redis: RedisClient
let publisher: DirectoryPublisher
let gateway: GatewayProcess
const backend = new StubUpstream('from-gateway')
const control = new StubUpstream('from-gateway')
const metering = new StubUpstream()
const acme = makeTenant('acme')
const globex = makeTenant('globex')
const codec = new RequestContextCodec(INTERNAL_SECRET)
let ledgerCount = 0

async function publish(tenant: TestTenant): Promise<void> {
  const { name, version } = tenant.snapshot
  await publisher.publish('tenant', name, version, JSON.stringify(tenant.snapshot))
}

function jwt(secret: string, payload: object, header: object = { alg: 'HS256', typ: 'JWT' }): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const body = `${encode(header)}.${encode(payload)}`
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}

const inAnHour = Math.floor(Date.now() / 1000) + 3600

beforeAll(async () => {
  redisServer = await startRedis()
  redis = connectRedis({
    urls: [redisServer.url],
    connectionName: 'test',
    log: makeLogger('test', 'silent'),
    whenAway: 'wait',
  })
  await whenRedisReady(redis, 5_000)
  publisher = new DirectoryPublisher(redis)
  await publish(acme)
  await publish(globex)
  await publisher.markComplete()
  metering.answer = (_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ count: ledgerCount, as_of: new Date().toISOString() }))
  }
  gateway = await GatewayProcess.start({
    AERODB_REDIS_URL: redisServer.url,
    AERODB_BACKEND_URLS: await backend.start(),
    AERODB_CONTROL_URL: await control.start(),
    AERODB_METERING_URL: await metering.start(),
  })
})

afterAll(async () => {
  await gateway.stop()
  redis.disconnect()
  await Promise.all([backend.stop(), control.stop(), metering.stop(), redisServer.stop()])
})

beforeEach(() => {
  backend.seen.length = 0
  control.seen.length = 0
})

test('a request with a key reaches the backend with the signed context, and the path unchanged', async () => {
  const answer = await gateway.ask('acme.localhost', '/rest/v1/todos?select=*&a=%2F', {
    headers: { apikey: acme.anonKey, Authorization: `Bearer ${acme.anonKey}` },
  })
  expect(answer).toMatchObject({ status: 200, body: '{"ok":true}' })
  expect(answer.headers['x-request-id']).toMatch(/^req_[0-9a-z]+$/)
  const [seen] = backend.seen
  expect(seen?.url).toBe('/rest/v1/todos?select=*&a=%2F')
  expect(seen?.headers['x-request-id']).toBe(answer.headers['x-request-id'])
  expect(seen?.headers.apikey).toBeUndefined()
  expect(seen?.headers.authorization).toBeUndefined()
  expect(codec.verify(String(seen?.headers[CONTEXT_HEADER]), Date.now())).toMatchObject({
    tenant_id: acme.snapshot.tenant_id,
    role: 'anon',
    key_id: acme.snapshot.keys[0]?.id,
    claims: null,
  })
})

test.each([
  ['no credentials', {}, 'missing_credentials'],
  ['a malformed key', { apikey: 'aero_anon_nonsense' }, 'invalid_credentials'],
  ['an unknown key', { apikey: makeKey('anon') }, 'invalid_credentials'],
  ["another tenant's key", { apikey: globex.anonKey }, 'invalid_credentials'],
  ["another tenant's key as bearer", { Authorization: `Bearer ${globex.serviceKey}` }, 'invalid_credentials'],
  ['a platform key', { Authorization: `Bearer ${makeKey('platform')}` }, 'invalid_credentials'],
  ['basic authentication', { Authorization: 'Basic YTpi' }, 'invalid_credentials'],
  [
    'an own key beside a wrong one',
    { apikey: acme.anonKey, Authorization: `Bearer ${globex.anonKey}` },
    'invalid_credentials',
  ],
])('%s is 401', async (_name, headers, code) => {
  const answer = await gateway.ask('acme.localhost', '/rest/v1/todos', { headers: headers as Record<string, string> })
  expect(answer.status).toBe(401)
  expect(JSON.parse(answer.body)).toMatchObject({ code, status: 401, request_id: answer.headers['x-request-id'] })
  expect(answer.headers['content-type']).toBe('application/problem+json')
  expect(backend.seen).toHaveLength(0)
})

test('a JWT of the tenant decides role and claims, with the key beside it', async () => {
  const token = jwt(acme.jwtSecret, { role: 'authenticated', sub: 'user-1', exp: inAnHour })
  const answer = await gateway.ask('acme.localhost', '/rest/v1/todos', {
    headers: { apikey: acme.anonKey, Authorization: `Bearer ${token}` },
  })
  expect(answer.status).toBe(200)
  expect(codec.verify(String(backend.seen[0]?.headers[CONTEXT_HEADER]), Date.now())).toMatchObject({
    role: 'authenticated',
    claims: { sub: 'user-1', role: 'authenticated' },
  })
})

test.each([
  ['of another tenant', jwt(globex.jwtSecret, { role: 'authenticated', exp: inAnHour })],
  ['that is over', jwt(acme.jwtSecret, { role: 'authenticated', exp: inAnHour - 7200 })],
  ['that is not yet good', jwt(acme.jwtSecret, { role: 'authenticated', exp: inAnHour, nbf: inAnHour - 600 })],
  ['with an unknown role', jwt(acme.jwtSecret, { role: 'postgres', exp: inAnHour })],
  ['without a role', jwt(acme.jwtSecret, { exp: inAnHour })],
  ['with alg none', jwt(acme.jwtSecret, { role: 'service_role', exp: inAnHour }, { alg: 'none' })],
  ['signed with alg none', `${jwt('', { role: 'service_role' }, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`],
])('a JWT %s is 401', async (_name, token) => {
  const answer = await gateway.ask('acme.localhost', '/rest/v1/todos', {
    headers: { Authorization: `Bearer ${token}` },
  })
  expect(answer.status).toBe(401)
})

test.each(['nobody.localhost', 'acme.example.org', 'localhost', 'a.acme.localhost', '127.0.0.1'])(
  'host %s is 404 unknown_host',
  async (host) => {
    const answer = await gateway.ask(host, '/rest/v1/todos', { headers: { apikey: acme.anonKey } })
    expect(answer.status).toBe(404)
    expect(JSON.parse(answer.body).code).toBe('unknown_host')
  },
)

test('a host is the same in any case, with a port, and with a trailing dot', async () => {
  for (const host of ['ACME.localhost', 'acme.localhost:8080', 'acme.localhost.'])
    expect((await gateway.ask(host, '/rest/v1/t', { headers: { apikey: acme.anonKey } })).status).toBe(200)
})

test('what clients send as internal or forwarding headers changes nothing', async () => {
  await gateway.ask('acme.localhost', '/rest/v1/todos', {
    headers: {
      apikey: acme.anonKey,
      'X-AeroDB-Context': 'forged',
      'x-aerodb-service': 'forged',
      'X-Forwarded-Host': 'globex.localhost',
      'X-Forwarded-For': '6.6.6.6',
      Forwarded: 'for=6.6.6.6',
      Connection: 'keep-alive, X-Secret-Hop',
      'X-Secret-Hop': '1',
      'X-Kept': '1',
    },
  })
  const headers = backend.seen[0]?.headers
  expect(codec.verify(String(headers?.[CONTEXT_HEADER]), Date.now())?.name).toBe('acme')
  expect(headers).toMatchObject({
    'x-forwarded-host': 'acme.localhost',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'http',
    'x-kept': '1',
  })
  expect(headers?.['x-aerodb-service']).toBeUndefined()
  expect(headers?.forwarded).toBe('for=127.0.0.1;host=acme.localhost;proto=http')
  expect(headers?.['x-secret-hop']).toBeUndefined()
})

test('status decides: suspended is 403, deleting is 404, paused is 503; and a change is in force at once', async () => {
  const tenant = makeTenant('changing')
  await publish(tenant)
  const ask = () => gateway.ask('changing.localhost', '/rest/v1/todos', { headers: { apikey: tenant.anonKey } })
  expect((await ask()).status).toBe(200)
  let version = 1
  for (const [status, expected, code] of [
    ['suspended', 403, 'tenant_suspended'],
    ['paused', 503, 'tenant_paused'],
    ['provisioning', 503, 'tenant_provisioning'],
    ['active', 200, undefined],
    ['deleting', 404, 'unknown_host'],
  ] as const) {
    await publish({ ...tenant, snapshot: { ...tenant.snapshot, status, version: ++version } })
    // Two states have one status: the code tells which of them is in force.
    const answer = await vi.waitFor(
      async () => {
        const now = await ask()
        expect(now.status).toBe(expected)
        if (code !== undefined) expect(JSON.parse(now.body).code).toBe(code)
        return now
      },
      { timeout: 2_000 },
    )
    if (expected === 503) expect(answer.headers['retry-after']).toBeDefined()
  }
})

test('30 requests at once on a limit of 20 admit exactly 20; refused ones say when to come back', async () => {
  const quotas = { ...UNLIMITED, requests_per_second: 20, api_requests_per_month: 1_000 }
  const burst = async (name: string) => {
    const tenant = makeTenant(name, { quotas })
    await publish(tenant)
    backend.seen.length = 0
    const startedMs = performance.now()
    const answers = await Promise.all(
      Array.from({ length: 30 }, () =>
        gateway.ask(`${name}.localhost`, '/rest/v1/todos', { headers: { apikey: tenant.anonKey } }),
      ),
    )
    return { answers, tookMs: performance.now() - startedMs }
  }
  // On a machine that stood still for a moment the thirty are not at once: then they tell nothing of one second.
  let attempt = 1
  let { answers, tookMs } = await burst('limited-1')
  while (tookMs >= 1_000 && attempt < 5) ({ answers, tookMs } = await burst(`limited-${++attempt}`))
  expect(tookMs).toBeLessThan(1_000)
  const refused = answers.filter((answer) => answer.status === 429)
  expect(answers.filter((answer) => answer.status === 200)).toHaveLength(20)
  expect(refused).toHaveLength(10)
  expect(JSON.parse(refused[0]?.body ?? '').code).toBe('rate_limited')
  expect(refused[0]?.headers).toMatchObject({
    'retry-after': '1',
    'ratelimit-policy': '"second";q=20;w=1',
    'x-ratelimit-limit': '20',
    'x-ratelimit-remaining': '0',
  })
  expect(answers[0]?.headers.ratelimit).toMatch(/^"second";r=\d+;t=1$/)
  expect(backend.seen).toHaveLength(20)
})

test('the monthly quota is hard, is rebuilt from the ledger, and refused calls consume nothing', async () => {
  ledgerCount = 90
  const tenant = makeTenant('metered', { quotas: { ...UNLIMITED, api_requests_per_month: 100 } })
  await publish(tenant)
  const ask = () => gateway.ask('metered.localhost', '/rest/v1/todos', { headers: { apikey: tenant.anonKey } })
  const first = await Promise.all(Array.from({ length: 25 }, ask))
  expect(first.filter((answer) => answer.status === 200)).toHaveLength(10)
  const refused = first.find((answer) => answer.status === 429)
  expect(JSON.parse(refused?.body ?? '').code).toBe('quota_exceeded')
  await publish({
    ...tenant,
    snapshot: { ...tenant.snapshot, version: 2, quotas: { ...UNLIMITED, api_requests_per_month: 105 } },
  })
  await vi.waitFor(async () => {
    backend.seen.length = 0
    await Promise.all(Array.from({ length: 8 }, ask))
    expect(backend.seen.length).toBeGreaterThan(0)
  })
  expect((await ask()).status).toBe(429)
})

test('used-up storage refuses writes and lets reads and deletes go on', async () => {
  const tenant = makeTenant('full', { storage_exceeded: true, file_storage_exceeded: true })
  await publish(tenant)
  const ask = async (method: string, path: string) =>
    (await gateway.ask('full.localhost', path, { method, headers: { apikey: tenant.anonKey } })).status
  expect(await ask('POST', '/rest/v1/todos')).toBe(507)
  expect(await ask('PATCH', '/rest/v1/todos')).toBe(507)
  expect(await ask('POST', '/storage/v1/object/photos/a.png')).toBe(507)
  expect(await ask('POST', '/storage/v1/object/list/photos')).toBe(200)
  expect(await ask('GET', '/rest/v1/todos')).toBe(200)
  expect(await ask('DELETE', '/rest/v1/todos')).toBe(200)
  expect(await ask('DELETE', '/storage/v1/object/photos/a.png')).toBe(200)
})

test('a preflight needs no key; a response may be read by any origin', async () => {
  const preflight = await gateway.ask('acme.localhost', '/rest/v1/todos', {
    method: 'OPTIONS',
    headers: {
      Origin: 'https://app.example',
      'Access-Control-Request-Method': 'PATCH',
      'Access-Control-Request-Headers': 'apikey,authorization,x-client-info,prefer',
    },
  })
  expect(preflight.status).toBe(204)
  expect(preflight.headers).toMatchObject({
    'access-control-allow-origin': '*',
    'access-control-allow-headers': 'apikey,authorization,x-client-info,prefer',
  })
  expect(String(preflight.headers['access-control-allow-methods'])).toContain('PATCH')
  expect(backend.seen).toHaveLength(0)
  const refused = await gateway.ask('acme.localhost', '/rest/v1/todos', { headers: { Origin: 'https://app.example' } })
  expect(refused.headers['access-control-allow-origin']).toBe('*')
})

test('the platform is at control.<domain>, with the credentials; /platform/v1 goes there with the context', async () => {
  await gateway.ask('control.localhost', '/v1/tenants', {
    method: 'POST',
    body: '{}',
    headers: { Authorization: 'Bearer x', 'X-Forwarded-For': '6.6.6.6', 'Content-Type': 'application/json' },
  })
  expect(control.seen[0]).toMatchObject({
    method: 'POST',
    url: '/v1/tenants',
    headers: { authorization: 'Bearer x', 'x-forwarded-for': '127.0.0.1', 'content-length': '2' },
  })
  await gateway.ask('acme.localhost', '/platform/v1/access-grants/1/approve', {
    method: 'POST',
    headers: { apikey: acme.serviceKey },
  })
  expect(codec.verify(String(control.seen[1]?.headers[CONTEXT_HEADER]), Date.now())).toMatchObject({
    name: 'acme',
    role: 'service_role',
  })
})

test('/health asks the backend without a key', async () => {
  expect((await gateway.ask('acme.localhost', '/health')).status).toBe(200)
  expect(backend.seen[0]?.url).toBe('/health')
})

test('bodies stream both ways: the backend reads before the client has sent all', async () => {
  let received = ''
  backend.answer = (request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain' })
    request.on('data', (chunk: Buffer) => {
      received += chunk.toString()
      response.write(`got ${chunk.toString()};`)
    })
    request.on('end', () => response.end('end'))
  }
  const answer = await new Promise<{ response: IncomingMessage; body: string }>((resolve, reject) => {
    const request = httpRequest(
      {
        host: '127.0.0.1',
        port: gateway.port,
        path: '/storage/v1/object/b/x',
        method: 'POST',
        headers: { Host: 'acme.localhost', apikey: acme.anonKey },
      },
      (response) => {
        let body = ''
        response.on('data', (chunk: Buffer) => {
          body += chunk.toString()
          if (body === 'got one;') request.end('two')
        })
        response.once('end', () => resolve({ response, body }))
      },
    )
    request.once('error', reject)
    request.write('one')
  })
  expect(received).toBe('onetwo')
  expect(answer.body).toBe('got one;got two;end')
})

test('when the client goes away its upstream request is aborted', async () => {
  const before = backend.aborted
  backend.answer = (_request, response) => {
    response.writeHead(200).write('begin')
  }
  await new Promise<void>((resolve) => {
    const request = httpRequest(
      {
        host: '127.0.0.1',
        port: gateway.port,
        path: '/rest/v1/slow',
        headers: { Host: 'acme.localhost', apikey: acme.anonKey },
      },
      (response) => {
        response.once('data', () => {
          request.destroy()
          resolve()
        })
        response.on('error', () => {})
      },
    )
    request.on('error', () => {})
    request.end()
  })
  await vi.waitFor(() => expect(backend.aborted).toBe(before + 1))
})

test('when the upstream breaks off, the client learns it', async () => {
  backend.answer = (_request, response) => {
    response.socket?.destroy()
  }
  const answer = await gateway.ask('acme.localhost', '/rest/v1/todos', { headers: { apikey: acme.anonKey } })
  expect(answer.status).toBe(502)
  expect(JSON.parse(answer.body).code).toBe('bad_gateway')
  backend.answer = (_request, response) => {
    response.writeHead(200, { 'Content-Length': '100' }).write('half')
    setImmediate(() => response.socket?.destroy())
  }
  await expect(gateway.ask('acme.localhost', '/rest/v1/todos', { headers: { apikey: acme.anonKey } })).rejects.toThrow()
})

test('a killed worker is replaced at once, the launcher learns the new pids, and requests go on', async () => {
  backend.answer = (_request, response) => {
    response.end('ok')
  }
  const before = [...(gateway.ready.pids ?? [])]
  expect(before).toHaveLength(2)
  process.kill(before[0] ?? 0, 'SIGKILL')
  await vi.waitFor(() => {
    expect(gateway.ready.pids).toHaveLength(2)
    expect(gateway.ready.pids).not.toContain(before[0])
  }, 10_000)
  for (let i = 0; i < 10; i++) {
    const answer = await gateway.ask('acme.localhost', '/rest/v1/t', {
      headers: { apikey: acme.anonKey },
      agent: false,
    })
    expect(answer.status).toBe(200)
  }
})

test('however often workers are killed, no client is left without an answer or an end', async () => {
  backend.answer = (_request, response) => {
    response.end('ok')
  }
  const outcomes = { answered: 0, broken: 0 }
  let isOver = false
  const client = async () => {
    while (!isOver) {
      await gateway
        .ask('acme.localhost', '/rest/v1/t', { headers: { apikey: acme.anonKey }, agent: false })
        .then(() => outcomes.answered++)
        .catch(() => outcomes.broken++)
    }
  }
  const clients = Array.from({ length: 20 }, client)
  for (let i = 0; i < 8; i++) {
    const [victim] = gateway.ready.pids ?? []
    process.kill(victim ?? 0, 'SIGKILL')
    await vi.waitFor(() => expect(gateway.ready.pids).not.toContain(victim), 30_000)
    await vi.waitFor(() => expect(gateway.ready.pids).toHaveLength(2), 30_000)
  }
  isOver = true
  await Promise.all(clients)
  expect(outcomes.answered).toBeGreaterThan(outcomes.broken)
}, 180_000)

test('the admin port tells health, readiness and metrics of all workers', async () => {
  const admin = gateway.ready.adminUrl ?? ''
  expect((await fetch(`${admin}/healthz`)).status).toBe(200)
  expect((await fetch(`${admin}/readyz`)).status).toBe(200)
  const text = await (await fetch(`${admin}/metrics`)).text()
  expect(text).toContain('aerodb_gateway_responses_total{status="2xx"}')
  expect(text).not.toContain('acme')
})
