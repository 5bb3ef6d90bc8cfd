import { afterEach, expect, test } from 'vitest'
import { runCli } from './testing/run-cli.ts'
import { STUB_KEY, type Step, type StubPlatform, startStubPlatform } from './testing/stub-platform.ts'

const TENANT_PAGE = { data: [], next_cursor: null }
let platform: StubPlatform | undefined
afterEach(async () => {
  await platform?.stop()
  platform = undefined
})

async function startPlatform(steps: readonly [Step, ...Step[]]): Promise<StubPlatform> {
  platform = await startStubPlatform(steps)
  return platform
}

test('a POST that is put off, or whose answer is lost, is repeated under one Idempotency-Key', async () => {
  const { asked, env } = await startPlatform([
    { status: 503, headers: { 'retry-after': '0' } },
    'cut off',
    { status: 429, headers: { 'retry-after': '0' } },
    { status: 200, body: { currency: 'USD', data: [] } },
  ])
  const run = await runCli(['pricing', 'estimate', '--json'], { env })
  expect(run).toMatchObject({ code: 0 })
  const keys = asked.map(({ headers }) => headers['idempotency-key'])
  expect(keys).toHaveLength(4)
  expect(new Set(keys).size).toBe(1)
  expect(keys[0]).toMatch(/^[\w-]{36}$/)
})

test('a wait that is longer than a minute is left to the caller, with the time named', async () => {
  const problem = { code: 'rate_limited', detail: 'Too many requests.', request_id: 'req_1', status: 429 }
  const { asked, env } = await startPlatform([{ status: 429, headers: { 'retry-after': '3600' }, body: problem }])
  const run = await runCli(['tenants', 'list', '--json'], { env })
  expect(run).toMatchObject({ code: 6, out: '' })
  expect(JSON.parse(run.err)).toMatchObject({ code: 'rate_limited', request_id: 'req_1', retry_after_seconds: 3600 })
  expect(asked).toHaveLength(1)
})

test('a key follows no redirect', async () => {
  const { asked, env } = await startPlatform([{ status: 301, headers: { location: 'http://127.0.0.1:9/elsewhere' } }])
  const run = await runCli(['tenants', 'list'], { env })
  expect(run).toMatchObject({ code: 2, out: '' })
  expect(run.err).toContain('http://127.0.0.1:9/elsewhere')
  expect(asked).toHaveLength(1)
})

test('*.localhost is this machine, whatever the resolver says', async () => {
  const { asked, env, port } = await startPlatform([{ status: 200, body: TENANT_PAGE }])
  const run = await runCli(['tenants', 'list'], {
    env: { ...env, AERODB_CONTROL_URL: `http://control.localhost:${port}/v1/` },
  })
  expect(run).toMatchObject({ code: 0, out: 'No tenants.\n' })
  expect(asked[0]).toMatchObject({
    headers: { authorization: `Bearer ${STUB_KEY}`, host: `control.localhost:${port}` },
  })
})

test('text of others reaches the terminal without control characters', async () => {
  const detail = 'all \u001b]0;pwned\u0007\u001b[2Jgood\r\nACTIVE'
  const alert = { opened_at: 'now', status: 'open', severity: 'info', kind: 'x', tenant_id: null, detail }
  const { env } = await startPlatform([{ status: 200, body: { data: [alert], next_cursor: null } }])
  const run = await runCli(['alerts'], { env })
  expect(run.code).toBe(0)
  expect(run.out).toMatch(/all .*good ACTIVE\n$/)
  expect(run.out).not.toMatch(/[^\P{Cc}\n]/u)
})

test('a key alone is sent nowhere, and is never repeated in a fault', async () => {
  const run = await runCli(['tenants', 'list'], { env: { AERODB_PLATFORM_KEY: STUB_KEY } })
  expect(run).toMatchObject({ code: 2, out: '' })
  expect(run.err).toContain('AERODB_CONTROL_URL')
  const wrong = await runCli(['tenants', 'list'], {
    env: { AERODB_CONTROL_URL: 'http://127.0.0.1:9', AERODB_PLATFORM_KEY: 'secret\nsecret' },
  })
  expect(wrong.code).toBe(2)
  expect(wrong.err).not.toContain('secret')
})
