import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { openSpool } from '../metering/spool.ts'
import { systemClock } from '../runtime/clock.ts'
import { connectRedis, whenRedisReady } from '../runtime/redis.ts'
import { Sealer } from '../runtime/seal.ts'
import type { ServiceContext } from '../runtime/service-main.ts'
import { ServiceTokenCodec } from '../runtime/service-token.ts'
import { DirectoryReader } from '../tenancy/directory-reader.ts'
import { LastKnownGood } from '../tenancy/last-known-good.ts'
import { RequestContextCodec } from '../tenancy/request-context.ts'
import { makeApp } from './app.ts'
import type { GatewayConfig } from './config.ts'
import { HostTargets } from './host.ts'
import { makeHttpEdge } from './http-edge.ts'
import { JwksCache } from './jwks.ts'
import { LEDGER_LAG_MS, LeasedQuotaKeeper, QUOTA_LEASE_MS } from './leased-quota-keeper.ts'
import { LeasedRateLimiter, RATE_LEASE_MS } from './leased-rate-limiter.ts'
import { GatewayMetrics } from './metrics.ts'
import { HeartbeatLiveness } from './owner-liveness.ts'
import { QuotaLeases } from './quota-leases.ts'
import { RateAllotments } from './rate-allotments.ts'
import { RecallChannel } from './recall-channel.ts'
import { makeRecordUsage } from './record-usage.ts'
import { makeRequestCountSource } from './request-count.ts'
import { RequestIds } from './request-id.ts'
import { parseTenantEntry, type TenantEntry } from './tenant-entry.ts'
import type { Upstream } from './upstream.ts'
import { PipelinedUpstream } from './upstream-pipelined.ts'
import { UndiciUpstream } from './upstream-undici.ts'
import { Upstreams } from './upstreams.ts'
import { JwtVerifier } from './verify-jwt.ts'
import { type FromWorker, GATEWAY_ID_VARIABLE, ownerName, type ToWorker } from './worker-messages.ts'

/** How long a command may take before its limit's policy for Redis being away decides. */
const REDIS_TIMEOUT_MS = 250
const REDIS_PATIENCE_MS = 2_000

/** One process that serves: wires the pipeline and takes connections from the primary. */
export async function startWorker({ config, log, lifecycle }: ServiceContext<GatewayConfig>): Promise<void> {
  const clock = systemClock
  const redis = connectRedis({
    urls: config.AERODB_REDIS_URL,
    connectionName: 'gateway',
    log,
    whenAway: 'fail-fast',
    commandTimeoutMs: REDIS_TIMEOUT_MS,
  })
  lifecycle.onStop('redis', () => redis.disconnect())
  const subscriber = connectRedis({
    urls: config.AERODB_REDIS_URL,
    connectionName: 'gateway-announcements',
    log,
    whenAway: 'fail-fast',
  })
  lifecycle.onStop('subscriber', () => subscriber.disconnect())

  const directory = new DirectoryReader<TenantEntry>({
    kind: 'tenant',
    redis,
    subscriber,
    lastKnownGood: new LastKnownGood(join(config.AERODB_DATA_DIR, 'directory'), log),
    parse: parseTenantEntry,
    versionOf: (entry) => entry.snapshot.version,
    maxEntries: config.AERODB_GATEWAY_MAX_TENANTS,
    clock,
    log,
  })
  directory.start()
  lifecycle.onStop('directory', () => directory.stop())

  const spool = openSpool({ directory: join(config.AERODB_DATA_DIR, 'spool'), log })
  lifecycle.onStop('spool', () => spool.close())
  const upstreams = new Upstreams(config.AERODB_BACKEND_URLS, config.AERODB_GATEWAY_SHARED_PIPELINING, connectUpstream)
  lifecycle.onStop('upstreams', () => upstreams.close())
  const control = new UndiciUpstream(new URL(config.AERODB_CONTROL_URL).origin)
  lifecycle.onStop('control', () => control.close())
  const jwks = new JwksCache({ allowPrivate: config.AERODB_WEBHOOK_ALLOW_PRIVATE, clock })
  lifecycle.onStop('jwks', () => jwks.close())

  const metrics = new GatewayMetrics({ tenants: () => directory.size, connections: () => sockets.size })
  const recordUsage = makeRecordUsage(spool, clock)
  const countInLedger = makeRequestCountSource(
    config.AERODB_METERING_URL,
    new ServiceTokenCodec(config.AERODB_INTERNAL_SECRET),
    clock,
  )
  const owner = ownerName(process.env[GATEWAY_ID_VARIABLE] ?? randomUUID(), process.pid)
  const recalls = new RecallChannel(subscriber, owner)
  const liveness = new HeartbeatLiveness({ redis, owner, clock })
  const leased = { recalls, liveness, maxTenants: config.AERODB_GATEWAY_MAX_TENANTS, clock, log }
  const rateLimiter = new LeasedRateLimiter({
    ...leased,
    allotments: new RateAllotments({ redis, owner, leaseMs: RATE_LEASE_MS }),
    whenAway: config.AERODB_GATEWAY_RATE_LIMIT_WHEN_REDIS_AWAY,
  })
  const quotaKeeper = new LeasedQuotaKeeper({
    ...leased,
    leases: new QuotaLeases({ redis, owner, leaseMs: QUOTA_LEASE_MS, ledgerLagMs: LEDGER_LAG_MS }),
    countInLedger,
    whenAway: config.AERODB_GATEWAY_QUOTA_WHEN_REDIS_AWAY,
  })
  lifecycle.onStop('leases', async () => {
    await Promise.all([rateLimiter.close(), quotaKeeper.close()])
    recalls.stop()
    await liveness.stop()
  })
  let wasReady = redis.status === 'ready'
  redis.on('ready', () => {
    void liveness.beat()
    if (wasReady) {
      rateLimiter.forgetLeases()
      quotaKeeper.forgetLeases()
    }
    wasReady = true
  })
  const serve = makeApp({
    directory,
    authenticate: {
      jwt: new JwtVerifier({ sealer: new Sealer(config.AERODB_ENCRYPTION_KEYS), jwks, clock }),
      clock,
    },
    rateLimiter,
    quotaKeeper,
    forward: {
      upstreams,
      control,
      codec: new RequestContextCodec(config.AERODB_INTERNAL_SECRET),
      clock,
      beforeLastByte(exchange, outcome, done) {
        metrics.responded(outcome.status, clock.monotonicMs() - exchange.startedMs)
        recordUsage(exchange, outcome, done)
      },
      onFault(exchange, fault) {
        log.warn({ err: fault.cause, kind: fault.kind, request_id: exchange.requestId }, 'the upstream failed')
      },
    },
    metrics,
    log,
  })
  const server = makeHttpEdge({
    serve,
    requestIds: new RequestIds(),
    hosts: new HostTargets(config.AERODB_DOMAIN),
    clock,
  })
  const sockets = new Set<Socket>()
  lifecycle.onStop('server', () => drain(server, sockets))

  process.on('message', (message: ToWorker, socket: Socket | undefined) => {
    if (message.type === 'connection' && socket !== undefined) {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      socket.setNoDelay(true)
      server.emit('connection', socket)
      socket.resume()
    } else if (message.type === 'dead-owners') {
      for (const dead of message.owners) liveness.declareDead(dead)
    } else if (message.type === 'collect-metrics') {
      void metrics.registry.getMetricsAsJSON().then((collected) => {
        const answer: FromWorker = { type: 'metrics', id: message.id, metrics: collected }
        process.send?.(answer)
      })
    }
  })
  // Redis away is no reason not to serve; but a moment's patience spares the first requests its absence.
  await Promise.all([redis, subscriber].map((client) => whenRedisReady(client, REDIS_PATIENCE_MS).catch(() => {})))
  await liveness.start()
  lifecycle.ready()
}

/** Safe requests go over connections of ours, as many in flight on each as the backend allows; all else over undici. */
function connectUpstream(origin: string, pipelining: number): Upstream {
  const single = new UndiciUpstream(origin)
  return new PipelinedUpstream(origin, { pipelining, maxConnections: pipelining > 1 ? 4 : 128, single })
}

/** Lets requests under way end, tells keep-alive connections to close, and resolves when none is left. */
async function drain(server: ReturnType<typeof makeHttpEdge>, sockets: ReadonlySet<Socket>): Promise<void> {
  server.emit('draining')
  for (;;) {
    server.closeIdleConnections()
    if (sockets.size === 0) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
