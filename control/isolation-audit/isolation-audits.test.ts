import { OpenAPIHono } from '@hono/zod-openapi'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { renderProblems } from '../../runtime/hono-service.ts'
import { makeLogger } from '../../runtime/log.ts'
import { migrate } from '../../runtime/migrations.ts'
import { makePostgresPool, type PostgresPool } from '../../runtime/postgres-pool.ts'
import { createDatabase } from '../../test/support/databases.ts'
import type { AppEnv } from '../app/environment.ts'
import { migrateJobQueue } from '../reconciler/job-queue.ts'
import type { PlatformRole } from '../stores/platform-key-store.ts'
import type { Finding } from './finding.ts'
import { IsolationAudits } from './isolation-audits.ts'
import { buildReport, type IsolationReport } from './report.ts'
import { ReportSigner, verifyReport } from './report-signature.ts'
import { isolationAuditRoutes } from './routes.ts'

const log = makeLogger('test', 'silent')
const signer = new ReportSigner('a secret of at least thirty-two characters')
let pool: PostgresPool
let drop: () => Promise<void>
let findings: Finding[] = []
let runs = 0

beforeAll(async () => {
  const database = await createDatabase()
  drop = database.drop
  const directory = new URL('../migrations', import.meta.url).pathname
  await migrate({ databaseUrl: database.url, schema: 'control', directory, log })
  pool = makePostgresPool({ url: database.url, applicationName: 'test', maxConnections: 2, log })
  await migrateJobQueue(pool, log)
  await pool.query(`insert into control.servers (server, kind, identity, host, port, database, sealed_request_password,
      sealed_ddl_password, capacity, max_connections) values ('shared-0', 'shared', 'x', 'x', 1, 'shared', 'x', 'x', 1, 1)`)
  await pool.query(`insert into control.tenants (tenant_id, name, plan, region, isolation, status, server)
      values ('ten_acme', 'acme', 'free', 'local', 'schema', 'active', 'shared-0')`)
})
afterAll(async () => {
  await pool.end()
  await drop()
})
beforeEach(async () => {
  findings = []
  runs = 0
  await pool.query('delete from control.alerts')
})

const finding = (object: string, tenantId: string | null = null): Finding => ({
  code: 'rls_not_enabled',
  severity: 'critical',
  tenant: tenantId === null ? null : { tenant_id: tenantId, name: null },
  server: 'shared-0',
  object,
  what: 'row level security is off',
  remedy: 'Enable it.',
})

async function audit(): Promise<IsolationReport> {
  runs++
  const common = { accept: [], unlisted: 0, servers: [], canary: 'not_probed', nowMs: 0, durationMs: 0 } as const
  return buildReport({ ...common, findings })
}

const makeAudits = () => new IsolationAudits({ audit, pool, publish: async () => {}, log })
const openAlerts = async () =>
  (await pool.query('select detail, severity, tenant_id from control.alerts where resolved_at is null order by detail'))
    .rows

test('a finding becomes an alert, once, and the alert resolves when it is gone', async () => {
  const audits = makeAudits()
  findings = [finding('t_a.todos')]
  await audits.run()
  await audits.run()
  expect(await openAlerts()).toEqual([
    {
      detail: 'rls_not_enabled on shared-0: t_a.todos: row level security is off',
      severity: 'critical',
      tenant_id: null,
    },
  ])
  findings = []
  await audits.run()
  expect(await openAlerts()).toEqual([])
})

test('a thousand findings of one kind are one alert', async () => {
  findings = Array.from({ length: 1_000 }, (_, i) => finding(`t_a.table_${i}`))
  await makeAudits().run()
  expect(await openAlerts()).toMatchObject([{ detail: 'rls_not_enabled at 1000 objects, among them t_a.table_0' }])
})

test('who asks at once shares one run; the last report is kept', async () => {
  const audits = makeAudits()
  await Promise.all([audits.latest(), audits.run(), audits.latest()])
  await audits.latest()
  expect(runs).toBe(1)
})

// biome-ignore lint/suspicious/noExplicitAny: what came back is asserted on member by member, as it is
async function ask(path: string, role: PlatformRole): Promise<{ status: number; body: any }> {
  const app = new OpenAPIHono<AppEnv>()
  renderProblems(app)
  app.use(async (c, next) => {
    c.set('principal', { role } as AppEnv['Variables']['principal'])
    c.set('log', log)
    await next()
  })
  app.route('/', isolationAuditRoutes(makeAudits(), signer, pool))
  const response = await app.request(path)
  return { status: response.status, body: await response.json() }
}

test('the API answers with a signed report, whole or one tenant’s, to who may read the audit log', async () => {
  findings = [finding('t_a.todos', 'ten_acme'), finding('t_b.secrets', 'ten_beta')]
  const { body: whole } = await ask('/v1/isolation-audit', 'viewer')
  const { keys } = (await ask('/v1/isolation-audit/keys', 'viewer')).body
  expect(whole.report.findings).toHaveLength(2)
  expect(await verifyReport(whole.jws, keys[0])).toEqual(whole.report)
  const { body: own } = await ask('/v1/isolation-audit?tenant_id=ten_acme', 'operator')
  expect(own.report.findings).toHaveLength(1)
  expect(JSON.stringify(await verifyReport(own.jws, keys[0]))).not.toContain('beta')
  expect((await ask('/v1/isolation-audit?tenant_id=ten_nobody', 'owner')).status).toBe(404)
  expect((await ask('/v1/isolation-audit', 'billing')).status).toBe(404)
})
