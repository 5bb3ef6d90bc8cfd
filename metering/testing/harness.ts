import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../runtime/clock.ts'
import { migrate } from '../../runtime/migrations.ts'
import { makePostgresPool, type PostgresPool } from '../../runtime/postgres-pool.ts'
import { connectRedis, type RedisClient, whenRedisReady } from '../../runtime/redis.ts'
import type { RedisServer } from '../../runtime/redis-server.ts'
import { createDatabase } from '../../test/support/databases.ts'
import { startRedis } from '../../test/support/redis.ts'
import type { RequestRecord } from '../contract.ts'
import { ensureLedgerPartitions } from '../ledger-partitions.ts'
import { RedisUsageStream } from '../redis-stream.ts'
import { type Shipper, startShipper } from '../shipper.ts'
import { Sink } from '../sink.ts'
import type { Spool } from '../spool.ts'
import { UsageStore } from '../usage-store.ts'
import { quiet } from './quiet.ts'

export { quiet }

/** A migrated database of a test's own. */
export async function openLedger(): Promise<{ url: string; pool: PostgresPool; close: () => Promise<void> }> {
  const database = await createDatabase()
  const directory = fileURLToPath(new URL('../migrations', import.meta.url))
  await migrate({ databaseUrl: database.url, schema: 'metering', directory, log: quiet })
  const pool = makePostgresPool({ url: database.url, applicationName: 'test', maxConnections: 5, log: quiet })
  await ensureLedgerPartitions(pool, systemClock, quiet)
  return {
    url: database.url,
    pool,
    close: async () => {
      await pool.end()
      await database.drop()
    },
  }
}

/** `url` may name several nodes of a cluster, separated by commas. */
export type PipelineRedis = Pick<RedisServer, 'url' | 'start' | 'stop'>

/** Everything from the spool's directory to the ledger, on real servers, with short intervals. */
export class Pipeline {
  readonly spoolDirectory: string
  readonly databaseUrl: string
  readonly pool: PostgresPool
  readonly redis: PipelineRedis
  readonly client: RedisClient
  readonly usage: UsageStore
  readonly #closeLedger: () => Promise<void>
  readonly #parts = new Set<{ close(): Promise<void> }>()

  private constructor(options: {
    spoolDirectory: string
    ledger: Awaited<ReturnType<typeof openLedger>>
    redis: PipelineRedis
    client: RedisClient
  }) {
    this.spoolDirectory = options.spoolDirectory
    this.databaseUrl = options.ledger.url
    this.pool = options.ledger.pool
    this.#closeLedger = options.ledger.close
    this.redis = options.redis
    this.client = options.client
    this.usage = new UsageStore(this.pool)
  }

  /** @param server one Redis or a cluster that the caller stops; without it one of its own. */
  static async open(server?: PipelineRedis): Promise<Pipeline> {
    const redis = server ?? (await startRedis())
    const spoolDirectory = await mkdtemp(join(tmpdir(), 'aerodb-pipeline-'))
    const ledger = await openLedger()
    const client = connectRedis({
      urls: redis.url.split(','),
      connectionName: 'test',
      log: quiet,
      whenAway: 'fail-fast',
      commandTimeoutMs: 2_000,
    })
    await whenRedisReady(client, 5_000)
    return new Pipeline({ spoolDirectory, ledger, redis, client })
  }

  startSink(): Sink {
    const sink = new Sink({
      databaseUrl: this.databaseUrl,
      pool: this.pool,
      stream: new RedisUsageStream(this.client),
      clock: systemClock,
      log: quiet,
      pollMs: 10,
      balanceMs: 100,
    })
    sink.start()
    this.#parts.add(sink)
    return sink
  }

  startShipper(): Shipper {
    const shipper = startShipper({
      directory: this.spoolDirectory,
      redisUrls: this.redis.url.split(','),
      log: quiet,
      pollMs: 10,
      scanMs: 20,
      stallMs: 300,
    })
    this.#parts.add(shipper)
    return shipper
  }

  async stop(part: { close(): Promise<void> }): Promise<void> {
    this.#parts.delete(part)
    await part.close()
  }

  /** Requests that the ledger holds, all tenants and months. */
  async ledgerRequests(): Promise<number> {
    const { rows } = await this.pool.query<{ n: string }>(
      `select coalesce(sum(records), 0)::text as n from metering.ledger where kind = 'request'`,
    )
    return Number(rows[0]?.n)
  }

  async close(): Promise<void> {
    for (const part of [...this.#parts].reverse()) await part.close()
    this.client.disconnect()
    await this.redis.stop()
    await this.#closeLedger()
    await rm(this.spoolDirectory, { recursive: true, force: true })
  }
}

/** A request of `tenantId`, completed now unless told otherwise. */
export function request(tenantId: string, change: Partial<RequestRecord> = {}): RequestRecord {
  return {
    kind: 'request',
    tenantId,
    completedAtMs: Date.now(),
    method: 'GET',
    endpoint: '/rest/v1/todos',
    status: 200,
    egressBytes: 100,
    ingressBytes: 10,
    durationUs: 1_000,
    ...change,
  }
}

/** Appends as fast as the spool takes it, so many records a turn. */
export async function appendMany(spool: Spool, tenantId: string, count: number, perTurn = 50): Promise<void> {
  for (let done = 0; done < count; done += perTurn) {
    const turn = Array.from(
      { length: Math.min(perTurn, count - done) },
      () => new Promise<void>((resolve) => spool.append(request(tenantId), resolve)),
    )
    await Promise.all(turn)
  }
}
