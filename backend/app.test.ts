import { spawn } from 'node:child_process'
import { request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CONTEXT_HEADER } from '../tenancy/request-context.ts'
import { TenantDatabase, type TestTenant } from './test-support/tenant-database.ts'
import { signContext, TestBackend } from './test-support/test-backend.ts'

let database: TenantDatabase
let backend: TestBackend
let acme: TestTenant

beforeAll(async () => {
  database = await TenantDatabase.create()
  acme = await database.addTenant()
  const away = { ...database.record, ...database.loginsFor('shared-1'), server: 'shared-1', port: 1 }
  const unreadable = { ...database.record, server: 'shared-2' }
  backend = await TestBackend.start([database.record, away, unreadable], { AERODB_BACKEND_MAX_BODY_BYTES: '2000' })
  await backend.call(acme, '/schema/v1/collections', {
    body: { name: 'docs', columns: [{ name: 'text', type: 'text' }] },
  })
})

afterAll(async () => {
  await backend?.stop()
  await database?.drop()
})

test('the health of a tenant is that of its database, asked as the tenant', async () => {
  const healthy = await backend.call(acme, '/health', { role: 'anon' })
  expect([healthy.status, healthy.json]).toEqual([200, { status: 'ok', tenant: 'acme', checks: { database: 'ok' } }])
  for (const server of ['shared-1', 'shared-2', 'nowhere']) {
    const answer = await fetch(`${backend.url}/health`, {
      headers: { [CONTEXT_HEADER]: signContext(acme, { server }) },
    })
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2'])
    const rows = await fetch(`${backend.url}/rest/v1/docs`, {
      headers: { [CONTEXT_HEADER]: signContext(acme, { server }) },
    })
    expect([rows.status, ((await rows.json()) as { code: string }).code]).toEqual([503, 'database_unavailable'])
  }
  expect((await fetch(`${backend.url}/health`)).status).toBe(401)
  expect((await fetch(`${backend.url}/healthz`)).status).toBe(200)
})

test('a body past the limit is 413, declared or not', async () => {
  const declared = await backend.call(acme, '/rest/v1/docs', { body: { text: 'x'.repeat(3_000) } })
  expect([declared.status, (declared.json as { code: string }).code]).toEqual([413, 'body_too_large'])
  const status = await new Promise<number>((resolve, reject) => {
    const headers = { [CONTEXT_HEADER]: signContext(acme), 'content-type': 'application/json' }
    const upload = request(`${backend.url}/rest/v1/docs`, { method: 'POST', headers }, (answer) => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
    upload.once('error', reject)
    for (let i = 0; i < 4; i++) upload.write('y'.repeat(1_000))
    upload.end()
  })
  expect(status).toBe(413)
  expect((await backend.call(acme, '/rest/v1/docs', { body: { text: 'fits' } })).status).toBe(201)
})

test('requests pipelined on one connection are each answered with their own rows', async () => {
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, i) =>
      backend.call(acme, `/rest/v1/docs?select=n:id&text=eq.fits&id=lt.${i + 1_000}`),
    ),
  )
  for (const answer of answers) expect(answer.json).toHaveLength(1)
})

test('what is nowhere is a problem document', async () => {
  const answer = await backend.call(acme, '/nope')
  expect([answer.status, answer.headers.get('content-type')]).toEqual([404, 'application/problem+json'])
  expect(answer.json).toMatchObject({ code: 'not_found', request_id: answer.headers.get('x-request-id') })
})

test('a wrong configuration is reported whole, without a value of it', async () => {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url))
  const child = spawn(process.execPath, [main, '--validate'], {
    env: { PATH: process.env.PATH, AERODB_INTERNAL_SECRET: 'short', AERODB_BACKEND_PORT: 'x' },
  })
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(2)
  for (const name of ['AERODB_INTERNAL_SECRET', 'AERODB_BACKEND_PORT', 'AERODB_ENCRYPTION_KEYS', 'AERODB_REDIS_URL'])
    expect(output).toContain(name)
  expect(output).not.toContain('short')
})
