import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../runtime/clock.ts'
import { SERVICE_TOKEN_HEADER, ServiceTokenCodec } from '../runtime/service-token.ts'
import type { Exchange } from './exchange.ts'
import { makeTenantWaker, makeWakeTenant, refusePaused } from './wake-tenant.ts'

const tokens = new ServiceTokenCodec('s'.repeat(32))
const asked: string[] = []
const control = createServer((request, response) => {
  const caller = tokens.verify(String(request.headers[SERVICE_TOKEN_HEADER]), Date.now())
  asked.push(`${caller} ${request.method} ${request.url}`)
  response.setHeader('content-type', 'application/json')
  response.statusCode = request.url?.includes('gone') === true ? 404 : 200
  response.end(JSON.stringify({ status: request.url?.includes('asleep') === true ? 'paused' : 'active' }))
})
let url: string

beforeAll(async () => {
  await new Promise<void>((resolve) => control.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(control.address() as AddressInfo).port}`
})

afterAll(async () => {
  control.closeAllConnections()
  await new Promise((resolve) => control.close(resolve))
})

const exchangeOf = (status: string, tenant_id = 'ten_1') =>
  ({ tenant: { snapshot: { status, tenant_id } } }) as Exchange

test('requests for a paused tenant wait for one wake, and go on', async () => {
  const wakeTenant = makeWakeTenant(makeTenantWaker(url, tokens, systemClock))
  await Promise.all(Array.from({ length: 10 }, () => wakeTenant(exchangeOf('paused'))))
  expect(asked).toEqual(['gateway POST /internal/v1/tenants/ten_1/wake'])
})

test('an active tenant is not waited for', () => {
  expect(makeWakeTenant(() => Promise.reject(new Error('asked')))(exchangeOf('active'))).toBeUndefined()
})

test.each(['ten_asleep', 'ten_gone'])('%s, which does not wake, is 503 with Retry-After', async (tenantId) => {
  const wakeTenant = makeWakeTenant(makeTenantWaker(url, tokens, systemClock))
  const refused = { status: 503, code: 'tenant_paused', headers: { 'Retry-After': '1' } }
  await expect(wakeTenant(exchangeOf('paused', tenantId))).rejects.toMatchObject(refused)
  expect(() => refusePaused(exchangeOf('paused'))).toThrow(expect.objectContaining(refused))
})

test('control that is away is 503, not a hang', async () => {
  const wakeTenant = makeWakeTenant(makeTenantWaker('http://127.0.0.1:9', tokens, systemClock))
  await expect(wakeTenant(exchangeOf('paused'))).rejects.toMatchObject({ status: 503 })
})
