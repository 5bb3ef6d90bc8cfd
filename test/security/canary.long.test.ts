import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { TestPlatform } from '../support/platform.ts'
import { type CanaryTenant, CanaryTraffic, makeCanary } from './canary-traffic.ts'
import { runAudit } from './run-audit.ts'

/**
 * Many tenants with a canary row each and random concurrent traffic, while statements are cancelled, sessions ended and tenants
 * moved: no answer ever holds another tenant's canary. `AERODB_CANARY_TENANTS=10000` is the large run (docs/isolation.md).
 */
const TENANTS = Number(process.env.AERODB_CANARY_TENANTS ?? '200')
const SECONDS = Number(process.env.AERODB_CANARY_SECONDS ?? '60')
const MAKERS = 6
const SENDERS = 48
/** Tenants of their own servers, among them. */
const DATABASES = 4
const CLUSTERS = 1

let platform: TestPlatform
const tenants: CanaryTenant[] = []

beforeAll(async () => {
  platform = await TestPlatform.start({
    env: { AERODB_GATEWAY_FAILED_KEYS_PER_MINUTE: '0', AERODB_CONTROL_FAILED_KEYS_PER_MINUTE: '0' },
  })
}, 120_000)

afterAll(() => platform?.close())

function degreeOf(i: number): string {
  if (i < CLUSTERS) return 'cluster'
  return i < CLUSTERS + DATABASES ? 'database' : 'schema'
}

async function makeTenant(i: number): Promise<CanaryTenant> {
  const tenant = await platform.createTenant(`canary-${i}`, { plan: 'enterprise', isolation: degreeOf(i) })
  const key = tenant.keys.service
  const columns = [
    { name: 'title', type: 'text', nullable: false, unique: true },
    { name: 'meta', type: 'jsonb' },
  ]
  const canary = makeCanary()
  const made = [
    await platform.call(tenant.name, '/schema/v1/collections', { key, body: { name: 'notes', columns } }),
    await platform.call(tenant.name, '/rest/v1/notes', { key, body: { title: canary, meta: { of: canary } } }),
  ]
  expect(made.map(({ status }) => status)).toEqual([201, 201])
  return { ...tenant, canary }
}

/** Cancels a statement of the request path ten times a second, and ends a session twice a second, in mid-transaction or not. */
async function disturb(untilMs: number, counts: Record<string, number>): Promise<void> {
  const admin = new pg.Client({ connectionString: platform.endpoints.shared_database_urls[0] })
  await admin.connect()
  for (let round = 0; performance.now() < untilMs; round++) {
    const kind = round % 5 === 0 ? 'pg_terminate_backend' : 'pg_cancel_backend'
    const { rowCount } = await admin.query(
      `select ${kind}(pid) from pg_stat_activity where usename = 'aerodb_request' and state <> 'idle' order by random() limit 1`,
    )
    counts[kind] = (counts[kind] ?? 0) + (rowCount ?? 0)
    await sleep(100)
  }
  await admin.end()
}

/** Moves tenants of the shared tier to a server of their own and back, one after the other. */
async function move(untilMs: number, counts: Record<string, number>): Promise<void> {
  for (let i = CLUSTERS + DATABASES; performance.now() < untilMs; i++) {
    const tenant = tenants[CLUSTERS + DATABASES + (i % 12)] as CanaryTenant
    const path = `/v1/tenants/${tenant.tenant_id}`
    for (const isolation of ['database', 'schema']) {
      // The operation before ends a moment after its tenant is there.
      await vi.waitFor(
        async () => {
          const asked = await platform.control(path, { method: 'PATCH', body: { isolation } })
          expect(asked.status, asked.text).toBeLessThan(300)
        },
        { timeout: 60_000, interval: 200 },
      )
      for (let tries = 0; tries < 600; tries++) {
        const { json } = await platform.control(path)
        if (json.isolation === isolation && json.status === 'active') break
        await sleep(100)
      }
      counts.moves = (counts.moves ?? 0) + 1
    }
  }
}

test(`of ${TENANTS} tenants none ever sees another's canary`, async () => {
  const startedMs = performance.now()
  let next = 0
  await Promise.all(
    Array.from({ length: MAKERS }, async () => {
      for (let i = next++; i < TENANTS; i = next++) tenants[i] = await makeTenant(i)
    }),
  )
  const madeMs = performance.now()
  const traffic = new CanaryTraffic(platform, tenants)
  const counts: Record<string, number> = {}
  const untilMs = performance.now() + SECONDS * 1_000
  try {
    // Each to its end, so that what fails in one leaves nothing running.
    const ended = await Promise.allSettled([
      traffic.run(untilMs, SENDERS),
      disturb(untilMs, counts),
      move(untilMs, counts),
    ])
    expect(ended.filter(({ status }) => status === 'rejected')).toEqual([])
    const disturbedMs = performance.now()
    const { tally } = traffic
    const before = tally.requests
    const failedBefore = { ...tally.byStatus }
    await traffic.readAll(8)
    console.log(
      JSON.stringify({
        tenants: TENANTS,
        made_seconds: Math.round((madeMs - startedMs) / 1_000),
        traffic_seconds: Math.round((disturbedMs - madeMs) / 1_000),
        disturbed: counts,
        requests: before,
        by_kind: tally.byKind,
        by_status: failedBefore,
        leaks: tally.leaks.length,
        lost: tally.lost.length,
      }),
    )
    expect(tally.leaks.slice(0, 10)).toEqual([])
    expect(tally.lost.slice(0, 10)).toEqual([])
    // Undisturbed, each reads its row.
    expect((tally.byStatus['200'] ?? 0) - (failedBefore['200'] ?? 0)).toBe(TENANTS)
    for (const kind of ['pg_cancel_backend', 'pg_terminate_backend', 'moves'])
      expect(counts[kind], kind).toBeGreaterThan(0)
  } finally {
    await traffic.close()
  }
  const audit = await runAudit(platform)
  expect(audit.code, audit.output).toBe(0)
}, 7_200_000)
