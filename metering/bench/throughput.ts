// Throughput of the pipeline on real servers of its own: `node metering/bench/throughput.ts [records]`.
//   1. a writer process fills its spool while this process ships it through Redis to a reader that only acknowledges
//   2. a sink process counts into Postgres (fsync on) what a spool holds already
//   3. all of it at once
import { type ChildProcess, fork } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../runtime/clock.ts'
import { findFreePort } from '../../runtime/free-port.ts'
import { makeLogger } from '../../runtime/log.ts'
import { migrate } from '../../runtime/migrations.ts'
import { makePostgresPool, type PostgresPool } from '../../runtime/postgres-pool.ts'
import { PostgresServer } from '../../runtime/postgres-server.ts'
import { connectRedis } from '../../runtime/redis.ts'
import { findRedisProgram, RedisServer } from '../../runtime/redis-server.ts'
import { ensureLedgerPartitions } from '../ledger-partitions.ts'
import { RedisUsageStream } from '../redis-stream.ts'
import { startShipper } from '../shipper.ts'
import { Sink } from '../sink.ts'
import { openSpool, type Spool } from '../spool.ts'

const RECORDS = Number(process.argv[3] ?? process.argv[2] ?? 1_000_000)
const PER_TURN = 64
const log = makeLogger('bench', process.env.AERODB_LOG_LEVEL ?? 'warn')
const role = process.env.BENCH_ROLE
const stopped = new AbortController()

if (role === 'writer') await write(process.argv[2] ?? '')
else if (role === 'sink') await count()
else await main()

async function write(directory: string): Promise<void> {
  const tenants = Array.from({ length: 1_000 }, (_, i) => `ten_01k3zq8v5w9r2m4n6p8s0t${String(i).padStart(4, '0')}`)
  const spool: Spool = openSpool({ directory, log })
  for (let done = 0; done < RECORDS; done += PER_TURN) {
    await new Promise<void>((resolve) => {
      for (let i = 1; i <= PER_TURN; i++) {
        // Few tenants are busy at one time: the squares make some tenants a thousand times busier than others.
        const pick = Math.floor(Math.random() ** 3 * tenants.length)
        spool.append(
          {
            kind: 'request',
            tenantId: tenants[pick] ?? '',
            completedAtMs: Date.now(),
            method: i % 4 === 0 ? 'POST' : 'GET',
            endpoint: `/rest/v1/collection_${(i * 7) % 10}`,
            status: i % 10 === 0 ? 404 : 200,
            egressBytes: 1_000 + i,
            ingressBytes: i,
            durationUs: 1_500,
          },
          i === PER_TURN ? () => resolve() : () => {},
        )
      }
    })
  }
  await spool.close()
  process.disconnect?.()
}

async function count(): Promise<void> {
  const [databaseUrl = '', redisUrl = ''] = [process.env.BENCH_DATABASE_URL, process.env.BENCH_REDIS_URL]
  const pool = makePostgresPool({ url: databaseUrl, applicationName: 'bench-sink', maxConnections: 4, log })
  const redis = connectRedis({ urls: [redisUrl], connectionName: 'bench-sink', log, whenAway: 'wait' })
  const sink = new Sink({ databaseUrl, pool, stream: new RedisUsageStream(redis), clock: systemClock, log })
  sink.start()
  process.once('SIGTERM', () => {
    void sink.close().then(async () => {
      redis.disconnect()
      await pool.end()
      process.exit(0)
    })
  })
}

async function main(): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort())
  const directory = await mkdtemp(join(tmpdir(), 'aerodb-bench-'))
  await chmod(directory, 0o711)
  const program = await findRedisProgram()
  if (program === undefined) throw new Error('There is no redis-server.')
  const redisServer = new RedisServer({
    program,
    port: await findFreePort(),
    password: 'bench',
    directory: join(directory, 'redis'),
  })
  const postgres = new PostgresServer({
    directory: join(directory, 'postgres'),
    port: await findFreePort(),
    password: 'bench',
  })
  await Promise.all([redisServer.start(), postgres.start()])
  const redis = connectRedis({ urls: [redisServer.url], connectionName: 'bench', log, whenAway: 'wait' })
  const pool = makePostgresPool({ url: postgres.url(), applicationName: 'bench', maxConnections: 2, log })
  try {
    const migrations = fileURLToPath(new URL('../migrations', import.meta.url))
    await migrate({ databaseUrl: postgres.url(), schema: 'metering', directory: migrations, log })
    await ensureLedgerPartitions(pool, systemClock, log)
    const env = { ...process.env, BENCH_DATABASE_URL: postgres.url(), BENCH_REDIS_URL: redisServer.url }
    const spools = join(directory, 'spool')

    let shipper = startShipper({ directory: spools, redisUrls: [redisServer.url], log })
    let started = performance.now()
    const passed = passOn(new RedisUsageStream(redis))
    let writer = spawnSelf('writer', [spools], env)
    await passed
    report('spool and stream', started)
    await ended(writer)
    await shipper.close()
    await rm(spools, { recursive: true })
    await redis.flushall()

    writer = spawnSelf('writer', [spools], env)
    await ended(writer)
    started = performance.now()
    shipper = startShipper({ directory: spools, redisUrls: [redisServer.url], log })
    let sink = spawnSelf('sink', [], env)
    await waitFor(async () => (await counted(pool)) >= RECORDS)
    report('full spool to ledger', started)
    await endProcessOf(sink)

    started = performance.now()
    sink = spawnSelf('sink', [], env)
    writer = spawnSelf('writer', [spools], env)
    await waitFor(async () => (await counted(pool)) >= 2 * RECORDS)
    report('spool, stream and ledger', started)
    await ended(writer)
    await endProcessOf(sink)
    await shipper.close()
    const rows = await pool.query<{ n: string }>('select count(*)::text as n from metering.ledger')
    console.log(`ledger rows: ${rows.rows[0]?.n} for ${2 * RECORDS} records`)
  } finally {
    redis.disconnect()
    await pool.end()
    await Promise.all([redisServer.stop(), postgres.stop()])
    await rm(directory, { recursive: true, force: true })
  }
}

function spawnSelf(as: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  return fork(fileURLToPath(import.meta.url), [...args, String(RECORDS)], { env: { ...env, BENCH_ROLE: as } })
}

/** A sink without a ledger: takes what comes until all records have come by. */
async function passOn(stream: RedisUsageStream): Promise<void> {
  for (let records = 0; records < RECORDS; ) {
    let any = false
    for (let p = 0; p < stream.partitions; p++) {
      const received = await stream.read(p, 64)
      const last = received.at(-1)
      if (last === undefined) continue
      any = true
      const marks = new Map<string, number>()
      for (const { entry } of received) {
        if (entry === undefined) continue
        marks.set(entry.producer, entry.firstSequence + entry.count - 1)
        if (entry.kind === 'records') records += entry.count
      }
      await stream.publishMarks(marks)
      await stream.acknowledge(p, last.id)
    }
    if (!any) await sleep(10, undefined, { signal: stopped.signal })
  }
}

async function counted(pool: PostgresPool): Promise<number> {
  const { rows } = await pool.query<{ n: string }>(
    'select coalesce(sum(requests), 0)::text as n from metering.usage_hourly',
  )
  return Number(rows[0]?.n)
}

async function waitFor(isDone: () => Promise<boolean>): Promise<void> {
  while (!(await isDone())) await sleep(20, undefined, { signal: stopped.signal })
}

function report(what: string, started: number): void {
  const ms = performance.now() - started
  console.log(
    `${what.padEnd(26)} ${((RECORDS / ms) * 1_000).toFixed(0).padStart(8)} records/s  (${RECORDS} in ${(ms / 1_000).toFixed(2)} s, start of processes included)`,
  )
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve))
}

async function endProcessOf(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM')
  await ended(child)
}
