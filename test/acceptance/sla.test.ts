import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { SMTPServer } from 'smtp-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestPlatform } from '../support/platform.ts'

const ALERT_AFTER_SECONDS = 2

describe('the SLA of a running platform', () => {
  let platform: TestPlatform
  const mails: string[] = []
  const mailServer = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData(stream, _session, done) {
      let mail = ''
      stream.setEncoding('utf8').on('data', (text: string) => {
        mail += text
      })
      stream.on('end', () => {
        mails.push(mail)
        done()
      })
    },
  })

  beforeAll(async () => {
    await new Promise<void>((resolve) => mailServer.listen(0, '127.0.0.1', resolve))
    const { port } = mailServer.server.address() as AddressInfo
    platform = await TestPlatform.start({
      env: {
        AERODB_WEBHOOK_ALLOW_PRIVATE: '1',
        AERODB_PROBE_INTERVAL_MS: '500',
        AERODB_ALERT_AFTER_SECONDS: String(ALERT_AFTER_SECONDS),
        AERODB_SMTP_URL: `smtp://127.0.0.1:${port}`,
        AERODB_ALERT_EMAIL_TO: 'oncall@aerodb.example',
      },
    })
  })
  afterAll(async () => {
    await platform?.close()
    await new Promise<void>((resolve) => mailServer.close(resolve))
  })

  test("a tenant's uptime is measured from its first seconds, and answered by month", async () => {
    const tenant = await platform.createTenant('measured', { plan: 'pro' })
    const path = `/v1/tenants/${tenant.tenant_id}/sla`
    let report = await platform.control(path)
    for (let tries = 0; tries < 60 && !(report.json.measured_seconds > 0); tries++) {
      await sleep(500)
      report = await platform.control(path)
    }
    expect(report.status).toBe(200)
    expect(report.json).toMatchObject({ tenant_id: tenant.tenant_id, downtime_seconds: 0, uptime: 1, incidents: [] })
    expect(report.json.measured_seconds).toBeGreaterThan(0)
    const month = await platform.control(`${path}/${report.json.month}`)
    expect(month.json).toMatchObject({ month: report.json.month, final: false, target: { plan: 'pro', uptime: 0.999 } })
    expect((await platform.control(`${path}/2026-13`)).status).toBe(400)
    expect((await platform.control('/v1/tenants/ten_01k3zq8v5w9r2m4n6p8s0t1xyz/sla')).status).toBe(404)
  })

  test('maintenance is declared and alerts are silenced, with an end', async () => {
    const ends_at = new Date(Date.now() + 3_600_000).toISOString()
    const window = await platform.control('/v1/maintenance-windows', { body: { ends_at, reason: 'new disks' } })
    expect(window.status).toBe(201)
    const windows = await platform.control('/v1/maintenance-windows')
    expect(windows.json.data).toContainEqual(expect.objectContaining({ window_id: window.json.window_id }))
    const over = await platform.control(`/v1/maintenance-windows/${window.json.window_id}`, { method: 'DELETE' })
    expect(over.status).toBe(204)

    const matcher = { kind: 'tenant_unreachable' }
    const silence = await platform.control('/v1/silences', { body: { matcher, ends_at, reason: 'known' } })
    expect(silence.status).toBe(201)
    const ended = await platform.control(`/v1/silences/${silence.json.silence_id}`, { method: 'DELETE' })
    expect(ended.status).toBe(204)
    const nothing = await platform.control('/v1/silences', { body: { matcher: {}, ends_at, reason: 'all' } })
    expect(nothing.status).toBe(400)
  })

  test('an outage is measured, told by mail and webhook when it lasts, and told again when it is over', async () => {
    const events: { type: string; data: { tenant_id: string; detail: string } }[] = []
    const receiver = await listen((body) => void events.push(JSON.parse(body)))
    const upstream = await listen()
    const tenant = await registerTenant(upstream.url)
    const hook = { url: receiver.url, events: ['alert.opened', 'alert.resolved'] }
    expect((await platform.control('/v1/webhooks', { body: hook })).status).toBe(201)
    const report = () => readReport(tenant)
    await expect.poll(async () => (await report()).measured_seconds, soon).toBeGreaterThan(0)

    await upstream.close()
    const of = (type: string) => events.filter((event) => event.type === type && event.data.tenant_id === tenant)
    await expect.poll(() => of('alert.opened').length, soon).toBe(1)
    const open = await platform.control(`/v1/alerts?status=open&tenant_id=${tenant}`)
    expect(open.json.data).toMatchObject([{ kind: 'tenant_unreachable', severity: 'critical', tenant_id: tenant }])
    expect((await report()).incidents).toMatchObject([{ cause: 'backend', ended_at: null }])

    const again = await listen(undefined, Number(new URL(upstream.url).port))
    await expect.poll(() => of('alert.resolved').length, soon).toBe(1)
    const after = await report()
    expect(after.incidents).toMatchObject([{ cause: 'backend', ended_at: expect.any(String) }])
    expect(after.downtime_seconds).toBeGreaterThanOrEqual(ALERT_AFTER_SECONDS)
    expect(after.uptime).toBeLessThan(1)
    expect(after.downtime_seconds).toBe(after.incidents[0].downtime_seconds)
    expect((await platform.control(`/v1/alerts?status=open&tenant_id=${tenant}`)).json.data).toEqual([])
    const told = () => mails.filter((mail) => mail.includes('elsewhere') && mail.includes('oncall@aerodb.example'))
    await expect.poll(() => told().length, soon).toBe(2)
    expect(of('alert.opened')).toHaveLength(1)

    const metrics = await platform.control('/v1/metrics')
    expect(metrics.text).toMatch(/^aerodb_incidents_open 0$/m)
    expect(metrics.text).not.toContain(tenant)
    expect((await platform.call('control', '/v1/metrics')).status).toBe(401)
    await again.close()
    await receiver.close()
  })

  test('a restart of the platform is no outage of its tenants', async () => {
    const tenant = await platform.createTenant('restarted', { plan: 'pro' })
    await expect.poll(async () => (await readReport(tenant.tenant_id)).measured_seconds, soon).toBeGreaterThan(0)
    await platform.stop()
    await platform.up()
    const before = (await readReport(tenant.tenant_id)).measured_seconds
    await expect.poll(async () => (await readReport(tenant.tenant_id)).measured_seconds, soon).toBeGreaterThan(before)
    expect((await readReport(tenant.tenant_id)).incidents).toEqual([])
  })

  async function readReport(tenantId: string) {
    return (await platform.control(`/v1/tenants/${tenantId}/sla`)).json
  }

  async function registerTenant(url: string): Promise<string> {
    const backend = await platform.control('/v1/backends', { body: { name: 'elsewhere', url } })
    expect(backend.status).toBe(201)
    const tenant = await platform.createTenant('elsewhere', { plan: 'pro', backend: 'elsewhere' })
    return tenant.tenant_id
  }
})

const soon = { timeout: 25_000, interval: 100 }

/** An HTTP server that answers everything with 200 and hands on what it is sent. */
async function listen(
  onBody: (body: string) => void = () => {},
  port = 0,
): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      if (body !== '') onBody(body)
      response.end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}
