import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestPlatform } from '../support/platform.ts'

describe('the SLA of a running platform', () => {
  let platform: TestPlatform
  beforeAll(async () => {
    platform = await TestPlatform.start()
  })
  afterAll(async () => {
    await platform?.close()
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

    const matcher = { kind: 'tenant_unreachable' }
    const silence = await platform.control('/v1/silences', { body: { matcher, ends_at, reason: 'known' } })
    expect(silence.status).toBe(201)
    const ended = await platform.control(`/v1/silences/${silence.json.silence_id}`, { method: 'DELETE' })
    expect(ended.status).toBe(204)
    const nothing = await platform.control('/v1/silences', { body: { matcher: {}, ends_at, reason: 'all' } })
    expect(nothing.status).toBe(400)
  })
})
