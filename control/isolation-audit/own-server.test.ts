import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../runtime/clock.ts'
import { adminConfig, runningPort } from '../provisioners/own-server/own-server.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startWorld, type World } from '../testing/world.ts'
import { auditIsolation } from './audit-isolation.ts'
import type { AuditedServer } from './audit-server.ts'

let world: World
let control: TestControl

beforeAll(async () => {
  world = await startWorld()
  const { databaseUrl, sharedUrl, redis } = world
  control = await startTestControl({ databaseUrl, sharedUrls: [sharedUrl], redisUrl: redis.url })
}, 120_000)

afterAll(async () => {
  await control?.stop()
  await world?.stop()
})

function ownServer(tenantId: string): AuditedServer {
  const directory = join(control.config.AERODB_DATA_DIR, 'tenants', tenantId)
  return {
    name: tenantId,
    isOwn: true,
    withClient: async (work) => {
      const client = new pg.Client(adminConfig({ directory, port: (await runningPort(directory)) ?? 0 }))
      // The server is stopped while we look.
      client.on('error', () => {})
      await client.connect()
      try {
        return await work(client)
      } finally {
        await client.end()
      }
    },
  }
}

test('a tenant’s own server, as control makes it, has no finding; one that is down did not pass', async () => {
  const body = { name: 'alone', plan: 'pro', isolation: 'database' }
  const made = await control.call('POST', '/v1/tenants', { body })
  expect(made).toMatchObject({ status: 201 })
  const { tenant_id: tenantId } = made.body
  const dataDirectory = control.config.AERODB_DATA_DIR
  const audit = () => auditIsolation({ servers: [ownServer(tenantId)], dataDirectory, clock: systemClock })
  const report = await audit()
  expect(report.findings).toEqual([])
  expect(report.servers).toMatchObject([{ server: tenantId, tenants: 1 }])
  // And control's own run, as its schedule and `GET /v1/isolation-audit` make it, looks at it too.
  const whole = await control.call('GET', '/v1/isolation-audit?fresh=true')
  expect(JSON.stringify(whole.body)).toContain(`"server":"${tenantId}"`)
  expect((await control.call('DELETE', `/v1/tenants/${tenantId}`)).status).toBe(202)
  await expect
    .poll(async () => (await audit()).findings.map(({ code }) => code), { timeout: 20_000 })
    .toEqual(['check_failed'])
})
