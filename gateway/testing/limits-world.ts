import type { ManualClock } from '../../runtime/clock.ts'
import { makeLogger } from '../../runtime/log.ts'
import { connectRedis, type RedisClient, whenRedisReady } from '../../runtime/redis.ts'
import type { RedisServer } from '../../runtime/redis-server.ts'
import { startRedis } from '../../test/support/redis.ts'
import { LeasedQuotaKeeper, QUOTA_LEASE_MS } from '../leased-quota-keeper.ts'
import { LeasedRateLimiter, RATE_LEASE_MS } from '../leased-rate-limiter.ts'
import type { OwnerLiveness } from '../owner-liveness.ts'
import { QuotaLeases } from '../quota-leases.ts'
import { RateAllotments } from '../rate-allotments.ts'
import { RecallChannel } from '../recall-channel.ts'

const log = makeLogger('test', 'silent')

/** Everybody lives but those that the test names. */
export class TestLiveness implements OwnerLiveness {
  readonly owner: string
  readonly dead: string[] = []
  /** Who is dead, and known to be once somebody looks. */
  readonly gone = new Set<string>()
  readonly validUntilMs = Number.POSITIVE_INFINITY

  constructor(owner: string) {
    this.owner = owner
  }

  deadNames(): string {
    return this.dead.join(' ')
  }

  async findDead(owners: readonly string[]): Promise<boolean> {
    const found = owners.filter((owner) => this.gone.has(owner) && !this.dead.includes(owner))
    this.dead.push(...found)
    return found.length > 0
  }
}

/** A worker's limits with connections of their own. */
export type TestWorker = {
  limiter: LeasedRateLimiter
  keeper: LeasedQuotaKeeper
  liveness: TestLiveness
  owner: string
  redis: RedisClient
}

/** A real Redis and workers that share a tenant's limits through it, on a clock that the test moves. */
export class LimitsWorld {
  readonly #clients: RedisClient[] = []
  readonly #closers: (() => Promise<unknown>)[] = []
  #redisServer: RedisServer | undefined
  #owners = 0
  #tenants = 0

  async start(): Promise<void> {
    this.#redisServer = await startRedis()
  }

  get url(): string {
    return this.#redisServer?.url ?? ''
  }

  async stop(): Promise<void> {
    await this.#redisServer?.stop()
  }

  /** Ends what the last test has made. */
  async endWorkers(): Promise<void> {
    for (const close of this.#closers.splice(0)) await close()
    for (const redis of this.#clients.splice(0)) redis.disconnect()
  }

  onEnd(close: () => Promise<unknown>): void {
    this.#closers.push(close)
  }

  /** An id that nobody else has used. */
  nextTenantId(): string {
    return `ten_${++this.#tenants}`
  }

  /** A connection to the Redis, or to another address. */
  connect(url = this.url): RedisClient {
    const redis = connectRedis({ urls: [url], connectionName: 'test', log, whenAway: 'fail-fast' })
    this.#clients.push(redis)
    return redis
  }

  async client(): Promise<RedisClient> {
    const redis = this.connect()
    await whenRedisReady(redis, 5_000)
    return redis
  }

  async makeWorkers(
    count: number,
    clock: ManualClock,
    { ledger = async () => 0, maxTenants = 1_000 }: { ledger?: () => Promise<number>; maxTenants?: number } = {},
  ): Promise<TestWorker[]> {
    return Promise.all(Array.from({ length: count }, () => this.#makeWorker(clock, ledger, maxTenants)))
  }

  async #makeWorker(clock: ManualClock, ledger: () => Promise<number>, maxTenants: number): Promise<TestWorker> {
    const redis = await this.client()
    const subscriber = await this.client()
    const owner = `owner-${++this.#owners}`
    const liveness = new TestLiveness(owner)
    const recalls = new RecallChannel(subscriber, liveness)
    const common = { recalls, liveness, whenAway: 'local' as const, maxTenants, clock, log }
    await subscriber.subscribe('aerodb:limits')
    const nowMs = () => clock.nowMs()
    const limiter = new LeasedRateLimiter({
      ...common,
      allotments: new RateAllotments({ redis, liveness, leaseMs: RATE_LEASE_MS, nowMs }),
    })
    const keeper = new LeasedQuotaKeeper({
      ...common,
      leases: new QuotaLeases({ redis, liveness, leaseMs: QUOTA_LEASE_MS, ledgerLagMs: 15_000, nowMs }),
      countInLedger: ledger,
    })
    this.onEnd(async () => {
      await Promise.all([limiter.close(), keeper.close()])
      recalls.stop()
    })
    return { limiter, keeper, liveness, owner, redis }
  }
}

/** One of the workers, by any number. */
export function pick(workers: readonly TestWorker[], index: number): TestWorker {
  const worker = workers[index % workers.length]
  if (worker === undefined) throw new Error('no workers')
  return worker
}
