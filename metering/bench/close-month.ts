// Closing a month for 1 000 tenants with an hour-by-hour year behind them: `node metering/bench/close-month.ts`.
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ManualClock } from '../../runtime/clock.ts'
import { findFreePort } from '../../runtime/free-port.ts'
import { makeLogger } from '../../runtime/log.ts'
import { migrate } from '../../runtime/migrations.ts'
import { makePostgresPool } from '../../runtime/postgres-pool.ts'
import { PostgresServer } from '../../runtime/postgres-server.ts'
import { loadPlanCatalogue } from '../../tenancy/plan.ts'
import { Billing } from '../billing.ts'
import { DEFAULT_SELLER, noTax } from '../invoice-document.ts'
import { parseMonth } from '../month.ts'

const TENANTS = 1_000
const log = makeLogger('bench', 'warn')
const directory = await mkdtemp(join(tmpdir(), 'aerodb-bench-'))
await chmod(directory, 0o711)
const postgres = new PostgresServer({
  directory: join(directory, 'postgres'),
  port: await findFreePort(),
  password: 'bench',
})
await postgres.start()
const pool = makePostgresPool({ url: postgres.url(), applicationName: 'bench', maxConnections: 4, log })
try {
  const migrations = fileURLToPath(new URL('../migrations', import.meta.url))
  await migrate({ databaseUrl: postgres.url(), schema: 'metering', directory: migrations, log })
  await pool.query(
    `insert into metering.usage_hourly select 'ten_' || t, hour, 500, 25000000, 25, 3
     from generate_series('2026-09-01T00:00Z'::timestamptz, '2026-10-31T23:00Z', '1 hour') hour, generate_series(1, $1) t`,
    [TENANTS],
  )
  await pool.query(
    `insert into metering.gauge_hourly select 'ten_' || t, 'documents_bytes', hour, 3600000::numeric * 9000000000, 1, 1, hour
     from generate_series('2026-09-01T00:00Z'::timestamptz, '2026-10-31T23:00Z', '1 hour') hour, generate_series(1, $1) t`,
    [TENANTS],
  )
  await pool.query(
    `insert into metering.daily_totals select tenant_id, (hour at time zone 'UTC')::date, sum(requests), sum(egress_bytes), sum(ingress_bytes), sum(messages)
     from metering.usage_hourly group by 1, 2`,
  )
  await pool.query(
    `insert into metering.billed_tenants select 'ten_' || t, 'tenant-' || t, 1,
       '[{"plan":"pro","isolation":"schema","from":"2026-08-01T00:00:00Z","until":"2026-10-15T10:00:00Z"},
         {"plan":"enterprise","isolation":"database","from":"2026-10-15T10:00:00Z","until":null}]'::jsonb
     from generate_series(1, $1) t`,
    [TENANTS],
  )
  await pool.query('vacuum analyze')
  const clock = new ManualClock(Date.UTC(2026, 10, 2))
  const billing = new Billing({ pool, catalogue: loadPlanCatalogue(), seller: DEFAULT_SELLER, tax: noTax, clock })
  for (const month of ['2026-09', '2026-10', '2026-10']) {
    const started = performance.now()
    const { closed, failed } = await billing.closeMonth(parseMonth(month))
    const seconds = ((performance.now() - started) / 1_000).toFixed(2)
    console.log(`close of ${month}: ${closed} invoices, ${failed.length} failed, in ${seconds} s`)
  }
} finally {
  await pool.end()
  await postgres.stop()
  await rm(directory, { recursive: true, force: true })
}
