import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../testing/eventually.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World } from '../testing/world.ts'

type Segment = { plan: string; isolation: string; from: string; until: string | null }
let world: World
let control: TestControl
/** What the stand-in for metering was told, and tells. */
const histories = new Map<string, { name: string; version: number; segments: Segment[] }>()
const spendEvents: Record<string, unknown>[] = []
const posts: { url: string; body: unknown }[] = []
const stripeEvents: { text: string; signature: unknown }[] = []
const metering = createServer((request, response) => {
  const url = request.url ?? ''
  let text = ''
  request.on('data', (chunk) => (text += chunk))
  request.on('end', () => {
    if (url.endsWith('/stripe/webhook')) {
      stripeEvents.push({ text, signature: request.headers['stripe-signature'] })
      response.writeHead(text.includes('"evt_1"') ? 200 : 400, { 'content-type': 'application/json' })
      return response.end(JSON.stringify({ received: true, applied: true, code: 'invalid_signature' }))
    }
    const body = text === '' ? undefined : JSON.parse(text)
    const answer = (status: number, value: unknown, type = 'application/json') => {
      response.writeHead(status, { 'content-type': type })
      response.end(type === 'application/json' ? JSON.stringify(value) : String(value))
    }
    const history = /tenants\/(\w+)\/plan-history$/.exec(url)
    if (request.headers['x-aerodb-service'] === undefined) return answer(401, {})
    if (history?.[1] !== undefined) {
      histories.set(history[1], body)
      return answer(200, { saved: true })
    }
    if (url.includes('/spend-events')) {
      const after = Number(new URL(url, 'http://x').searchParams.get('after'))
      return answer(200, { data: spendEvents.filter((event) => Number(event.event_id) > after) })
    }
    if (url.endsWith('/customer'))
      return answer(200, { tenant_id: 'ten_x', email: null, tax_id: null, address: [], ...body })
    if (url.includes('/credits/')) return answer(201, { key: 'sla', used_micros: 0, ...body })
    if (url.includes('/ledger/')) return answer(200, `hour,kind\r\n${url}\r\n`, 'text/csv')
    if (url.includes('/storage')) return answer(200, { data: [], next_after: null })
    if (request.method !== 'GET') {
      posts.push({ url, body })
      if (url.endsWith('/void')) return answer(409, { code: 'invoice_paid', detail: 'It is paid.' })
      return answer(url.endsWith('/credit-notes') ? 201 : 200, { invoice_id: 'inv_1', state: 'paid' })
    }
    if (request.headers.accept?.includes('text/csv') === true || url.includes('format=csv'))
      return answer(200, 'a,b\r\n', 'text/csv')
    return answer(200, { data: [], next_cursor: null, state: 'draft' })
  })
})

beforeAll(async () => {
  world = await startWorld()
  await new Promise<void>((resolve) => metering.listen(0, '127.0.0.1', resolve))
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
    meteringUrl: `http://127.0.0.1:${(metering.address() as AddressInfo).port}`,
  })
})

afterAll(async () => {
  await control.stop()
  await new Promise((resolve) => metering.close(resolve))
  await world.stop()
})

async function create(name: string, body: Record<string, unknown> = {}) {
  const created = await control.call('POST', '/v1/tenants', { body: { name, ...body } })
  expect(created.status).toBe(201)
  return { id: created.body.tenant_id as string, path: `/v1/tenants/${created.body.tenant_id}` }
}

test('metering is told from when until when a tenant was on which plan, without gap or overlap', async () => {
  const { id, path } = await create('planned')
  await eventually(() => expect(histories.get(id)?.segments).toHaveLength(1))
  await control.call('PATCH', path, { body: { status: 'suspended' } })
  await control.call('PATCH', path, { body: { plan: 'pro', status: 'active' } })
  await eventually(() => expect(histories.get(id)?.segments).toHaveLength(2))
  const [first, second] = histories.get(id)?.segments ?? []
  expect(first).toMatchObject({ plan: 'free', isolation: 'schema' })
  expect(second).toMatchObject({ plan: 'pro', until: null })
  expect(Date.parse(first?.until ?? '')).toBeLessThanOrEqual(Date.parse(second?.from ?? ''))
  const version = histories.get(id)?.version ?? 0
  await control.call('DELETE', path)
  await eventually(() => expect(histories.get(id)?.segments.at(-1)?.until).not.toBeNull())
  expect(histories.get(id)?.version).toBeGreaterThan(version)
})

test('an invoice comes in the form that was asked for', async () => {
  const { path } = await create('invoiced')
  expect((await control.call('GET', `${path}/invoices`)).body).toMatchObject({ data: [] })
  expect((await control.call('GET', `${path}/invoices/2026-11`)).body).toMatchObject({ state: 'draft' })
  for (const [query, headers] of [
    ['?format=csv', {}],
    ['', { accept: 'text/csv' }],
  ] as const) {
    const csv = await control.call('GET', `${path}/invoices/2026-11${query}`, { headers })
    expect(csv.headers.get('content-type')).toContain('text/csv')
    expect(csv.body).toBe('a,b\r\n')
  }
  expect((await control.call('GET', '/v1/tenants/ten_x/invoices')).status).toBe(404)
})

test('what is done to an invoice is audited, once for one Idempotency-Key; a refusal is passed on', async () => {
  const pay = () =>
    control.call('POST', '/v1/invoices/inv_1/pay', { body: { note: 'x' }, headers: { 'idempotency-key': 'pay-1' } })
  expect((await pay()).status).toBe(200)
  expect((await pay()).headers.get('idempotency-replayed')).toBe('true')
  expect(posts.filter(({ url }) => url.endsWith('/pay'))).toHaveLength(1)
  const log = await control.call('GET', '/v1/audit-log?action=invoice.pay')
  expect(log.body.data).toMatchObject([{ target: 'inv_1', after: { note: 'x' } }])
  expect((await control.call('POST', '/v1/invoices/inv_1/credit-notes', { body: {} })).status).toBe(201)
  expect(await control.call('POST', '/v1/invoices/inv_1/void', { body: { reason: 'x' } })).toMatchObject({
    status: 409,
    body: { code: 'invoice_paid' },
  })
})

test('a credit note carries the key of its request on, so that one that was made and not heard of is found again', async () => {
  await control.call('POST', '/v1/invoices/inv_2/credit-notes', { body: {}, headers: { 'idempotency-key': 'cn-1' } })
  expect(posts.at(-1)?.body).toEqual({ key: expect.stringMatching(/:cn-1$/) })
  expect((await control.call('POST', '/v1/invoices/inv_2/pay')).status).toBe(200)
  expect(posts.at(-1)).toMatchObject({ url: '/internal/v1/invoices/inv_2/pay', body: {} })
  const refused = await control.call('POST', '/v1/invoices/inv_2/pay', { body: { amount: 1 } })
  expect(refused).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
})

test('whom invoices name and what is given back are set through the platform API and audited; the ledger is CSV', async () => {
  const { id, path } = await create('named')
  const customer = { name: '株式会社', address: ['東京都'], tax_id: 'JP 1' }
  expect(await control.call('PUT', `${path}/customer`, { body: customer })).toMatchObject({
    status: 200,
    body: { name: '株式会社', email: null },
  })
  expect(
    (await control.call('PUT', `${path}/customer`, { body: { ...customer, email: 'x' } })).body.errors,
  ).toMatchObject([{ path: 'email' }])
  const credit = { reason: 'SLA', amount_micros: 1_000_000 }
  expect((await control.call('PUT', `${path}/credits/sla`, { body: credit })).status).toBe(201)
  const log = await control.call('GET', `/v1/audit-log?target=${id}`)
  const actions = log.body.data.map((entry: { action: string }) => entry.action)
  expect(actions).toEqual(expect.arrayContaining(['customer.set', 'credit.add']))
  const ledger = await control.call('GET', `${path}/ledger?month=2026-10`)
  expect(ledger.headers.get('content-type')).toContain('text/csv')
  expect(ledger.body).toContain(`/internal/v1/tenants/${id}/ledger/2026-10`)
  expect((await control.call('GET', `${path}/ledger?month=2026-13`)).status).toBe(400)
  expect((await control.call('GET', '/v1/tenants/ten_x/ledger')).status).toBe(404)
  expect((await control.call('GET', '/v1/invoices?month=2026-10&state=issued')).body).toMatchObject({ data: [] })
})

test("Stripe's event reaches metering byte for byte, without a platform key, and is bounded", async () => {
  const send = (raw: string, headers: Record<string, string> = { 'stripe-signature': 't=1,v1=ab' }) =>
    control.call('POST', '/v1/stripe/webhook', { key: null, raw, headers })
  const event = '{ "id": "evt_1",\n "note":"\u00fc \u6771" }  '
  expect(await send(event)).toMatchObject({ status: 200, body: { received: true } })
  expect(stripeEvents).toEqual([{ text: event, signature: 't=1,v1=ab' }])
  expect(await send('{"id":"evt_2"}')).toMatchObject({ status: 400, body: { code: 'invalid_signature' } })
  expect((await send(`{"id":"evt_1","note":"${'x'.repeat(200_000)}"}`)).status).toBe(200)
  expect((await send('x'.repeat(1_000_001))).status).toBe(413)
  expect((await send(event, {})).status).toBe(400)
})

test('only owner and billing act on invoices, and an operator does not see them', async () => {
  const keyOf = async (role: string) =>
    (await control.call('POST', '/v1/platform-keys', { body: { name: role, role } })).body.key as string
  const close = async (role: string) =>
    (await control.call('POST', '/v1/invoices/close?month=2026-10', { key: await keyOf(role) })).status
  expect(await Promise.all(['billing', 'viewer', 'operator'].map(close))).toEqual([200, 403, 404])
})

test('a spend cap that was reached suspends the tenant, once, and is an alert', async () => {
  const { id, path } = await create('spender')
  const event = { tenant_id: id, month: '2026-11', amount_micros: 1_000_000, total_micros: 1_200_000 }
  spendEvents.push({ event_id: 1, kind: 'alert', ...event }, { event_id: 2, kind: 'cap', ...event })
  await eventually(async () => expect((await control.call('GET', path)).body.status).toBe('suspended'))
  const alerts = await control.call('GET', `/v1/alerts?tenant_id=${id}`)
  expect(alerts.body.data.map((alert: { kind: string }) => alert.kind).toSorted()).toEqual([
    'spend_alert',
    'spend_cap_reached',
  ])
})
