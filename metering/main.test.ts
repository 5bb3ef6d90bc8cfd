import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { findFreePort } from '../runtime/free-port.ts'
import { SERVICE_TOKEN_HEADER, ServiceTokenCodec } from '../runtime/service-token.ts'
import { openSpool } from './spool.ts'
import { appendMany, Pipeline, quiet } from './testing/harness.ts'

const SECRET = 'a-secret-of-the-test-a-secret-of-the-test'
const tokens = new ServiceTokenCodec(SECRET)
const main = fileURLToPath(new URL('./main.ts', import.meta.url))
let pipeline: Pipeline
let service: ChildProcess
let base = ''

beforeAll(async () => {
  pipeline = await Pipeline.open()
  const port = await findFreePort()
  base = `http://127.0.0.1:${port}`
  service = spawn(process.execPath, [main], {
    env: {
      ...process.env,
      AERODB_LOG_LEVEL: process.env.AERODB_TEST_LOG ?? 'silent',
      AERODB_METERING_PORT: String(port),
      AERODB_DATABASE_URL: pipeline.databaseUrl,
      AERODB_REDIS_URL: pipeline.redis.url,
      AERODB_INTERNAL_SECRET: SECRET,
    },
    stdio: process.env.AERODB_TEST_LOG === undefined ? 'ignore' : 'inherit',
  })
  await vi.waitFor(async () => expect((await fetch(`${base}/healthz`)).status).toBe(200), { timeout: 20_000 })
})
afterAll(async () => {
  await new Promise<void>((resolve) => {
    service.once('exit', () => resolve())
    service.kill('SIGTERM')
  })
  await pipeline.close()
})

async function call(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${base}${path}`, {
    headers: { [SERVICE_TOKEN_HEADER]: tokens.sign('control', Date.now()) },
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

test('the internal API is closed to whoever has no service token', async () => {
  const month = new Date().toISOString().slice(0, 7)
  const response = await fetch(`${base}/internal/v1/tenants/ten_a/usage/${month}`)
  expect(response.status).toBe(401)
  expect(await response.json()).toMatchObject({ code: 'unauthorized' })
})

test('the running service counts what a spool writes and answers for it', async () => {
  const shipper = pipeline.startShipper()
  const spool = openSpool({ directory: pipeline.spoolDirectory, log: quiet })
  await appendMany(spool, 'ten_a', 200)
  await new Promise<void>((resolve) =>
    spool.append({ kind: 'storage', tenantId: 'ten_a', completedAtMs: Date.now(), documentsBytes: 7_000 }, resolve),
  )
  const month = new Date().toISOString().slice(0, 7)
  await expect
    .poll(async () => (await call(`/internal/v1/tenants/ten_a/request-count?month=${month}`)).body.count, {
      timeout: 15_000,
    })
    .toBe(200)
  const { body } = await call(`/internal/v1/tenants/ten_a/usage/${month}`)
  expect(body).toMatchObject({
    tenant_id: 'ten_a',
    month,
    resources: {
      api_requests: { total: 200, by_status: { 200: 200 } },
      storage: { documents_bytes: 7_000, files_bytes: 0 },
      egress: { bytes: 20_000 },
      ingress: { bytes: 2_000 },
      realtime: { peak_connections: 0, average_connections: 0, messages: 0 },
    },
  })
  const series = await call(`/internal/v1/tenants/ten_a/usage/${month}/series?resource=api_requests&step=hour`)
  const points = series.body.data as { value: number }[]
  expect(points.reduce((sum, point) => sum + point.value, 0)).toBe(200)
  expect((await call('/internal/v1/storage?limit=1')).body).toMatchObject({
    data: [{ tenant_id: 'ten_a', documents_bytes: 7_000, files_bytes: 0 }],
  })
  await spool.close()
  await pipeline.stop(shipper)
})

test('a wrong month, resource or step is a problem document with a stable code', async () => {
  expect((await call('/internal/v1/tenants/ten_a/usage/2026-13')).body).toMatchObject({ code: 'invalid_month' })
  const path = '/internal/v1/tenants/ten_a/usage/2026-11/series'
  expect((await call(`${path}?resource=gold`)).body).toMatchObject({ code: 'invalid_resource' })
  expect((await call(`${path}?step=week`)).body).toMatchObject({ code: 'invalid_step' })
})
