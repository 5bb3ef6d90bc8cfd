// The usage document of a month out of 1 000 tenants and a year of rollups: `node metering/bench/month-query.ts`.
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findFreePort } from '../../runtime/free-port.ts'
import { makeLogger } from '../../runtime/log.ts'
import { migrate } from '../../runtime/migrations.ts'
import { makePostgresPool } from '../../runtime/postgres-pool.ts'
import { PostgresServer } from '../../runtime/postgres-server.ts'
import { parseMonth } from '../month.ts'
import { buildUsageDocument } from '../usage-document.ts'
import { buildSeries } from '../usage-series.ts'
import { UsageStore } from '../usage-store.ts'

const TENANTS = 1_000
const COMBINATIONS = 12
const log = makeLogger('bench', 'warn')
const directory = await mkdtemp(join(tmpdir(), 'aerodb-bench-'))
await chmod(directory, 0o711)
const postgres = new PostgresServer({
  directory: join(directory, 'postgres'),
  port: await findFreePort(),
  password: 'bench',
  // What is measured is reading: the load is not to wait for the disk.
  settings: { max_wal_size: '4GB', fsync: 'off', wal_level: 'minimal', max_wal_senders: '0' },
})
await postgres.start()
const pool = makePostgresPool({ url: postgres.url(), applicationName: 'bench', maxConnections: 6, log })
try {
  await migrate({
    databaseUrl: postgres.url(),
    schema: 'metering',
    directory: fileURLToPath(new URL('../migrations', import.meta.url)),
    log,
  })
  // Day by day, as a year writes them: the rows of one tenant lie scattered over the whole table.
  await pool.query(
    `insert into metering.usage_daily
     select 'ten_' || t, day::date, case when e % 2 = 0 then 'GET' else 'POST' end, '/rest/v1/c' || e / 2, 200 + e % 3, 1000, 5000, 50, 900
     from generate_series('2026-01-01'::date, '2026-12-31', '1 day') day, generate_series(1, $1) t, generate_series(1, $2) e
     order by day`,
    [TENANTS, COMBINATIONS],
  )
  await pool.query(
    `insert into metering.usage_hourly
     select 'ten_' || t, hour, 500, 2500, 25, 3
     from generate_series('2026-01-01T00:00Z'::timestamptz, '2026-12-31T23:00Z', '1 hour') hour, generate_series(1, $1) t
     order by hour`,
    [TENANTS],
  )
  await pool.query(
    `insert into metering.gauge_hourly
     select 'ten_' || t, 'documents_bytes', hour, 3600000, 1000, 1000, hour
     from generate_series('2026-01-01T00:00Z'::timestamptz, '2026-12-31T23:00Z', '1 hour') hour, generate_series(1, $1) t
     order by hour`,
    [TENANTS],
  )
  await pool.query(
    `insert into metering.daily_totals select tenant_id, (hour at time zone 'UTC')::date as day, sum(requests), sum(egress_bytes), sum(ingress_bytes), sum(messages)
     from metering.usage_hourly group by 1, 2 order by day`,
  )
  await pool.query(
    `insert into metering.gauge_daily select tenant_id, meter, (hour at time zone 'UTC')::date as day, sum(value_ms), max(peak), max(last_value), max(last_at)
     from metering.gauge_hourly group by 1, 2, 3 order by day`,
  )
  await pool.query('analyze')
  const size = await pool.query<{ mb: number }>(
    `select (sum(pg_total_relation_size(c.oid)) / 1000000)::int as mb from pg_class c
     where relnamespace = 'metering'::regnamespace and relkind = 'r'`,
  )
  console.log(`${TENANTS} tenants, a year, ${size.rows[0]?.mb} MB of rollups`)
  const store = new UsageStore(pool)
  const now = Date.UTC(2027, 0, 15)
  const random = () => ({
    tenant: `ten_${1 + Math.floor(Math.random() * TENANTS)}`,
    month: parseMonth(`2026-${String(1 + Math.floor(Math.random() * 12)).padStart(2, '0')}`),
  })
  await measure('usage document of a month', async () => {
    const { tenant, month } = random()
    await buildUsageDocument(store, tenant, month, now)
  })
  for (const step of ['day', 'hour'] as const)
    await measure(`series of requests by ${step}`, async () => {
      const { tenant, month } = random()
      await buildSeries(store, tenant, month, 'api_requests', step, now)
    })
  await measure('request count (quota)', async () => {
    const { tenant, month } = random()
    await store.readTotals(tenant, month)
  })
} finally {
  await pool.end()
  await postgres.stop()
  await rm(directory, { recursive: true, force: true })
}

async function measure(name: string, work: () => Promise<void>): Promise<void> {
  const times: number[] = []
  for (let i = 0; i < 300; i++) {
    const started = performance.now()
    await work()
    times.push(performance.now() - started)
  }
  times.sort((a, b) => a - b)
  const at = (part: number) => (times[Math.floor(times.length * part)] ?? 0).toFixed(1)
  console.log(`${name.padEnd(28)} p50 ${at(0.5)} ms  p99 ${at(0.99)} ms  worst ${times.at(-1)?.toFixed(1)} ms`)
}
