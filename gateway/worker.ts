import { randomUUID } from 'node:crypto'
import type { Server as HttpServer } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { Server as TlsServer } from 'node:tls'
import { Client } from 'undici'
import { openSpool } from '../metering/spool.ts'
import { measureSpool } from '../metering/spool-metrics.ts'
import { type Clock, systemClock } from '../runtime/clock.ts'
import { FailedAttempts } from '../runtime/failed-attempts.ts'
import { JwksCache } from '../runtime/jwks.ts'
import { connectRedis, connectSubscriber, onRedisLoss, whenRedisReady } from '../runtime/redis.ts'
import { Sealer } from '../runtime/seal.ts'
import type { ServiceContext } from '../runtime/service-main.ts'
import { ServiceTokenCodec } from '../runtime/service-token.ts'
import { DirectoryReader } from '../tenancy/directory-reader.ts'
import { LastKnownGood } from '../tenancy/last-known-good.ts'
import { RequestContextCodec } from '../tenancy/request-context.ts'
import { AccessLog } from './access-log.ts'
import { makeApp } from './app.ts'
import { CircuitBreaker } from './circuit-breaker.ts'
import { ClientOrigins } from './client-address.ts'
import { ClientConnections } from './client-connections.ts'
import type { GatewayConfig } from './config.ts'
import { ConnectionKeeper } from './connection-keeper.ts'
import { HostTargets } from './host.ts'
import { acceptRequest, type HttpEdgeOptions, makeHttpEdge } from './http-edge.ts'
import { LEDGER_LAG_MS, LeasedQuotaKeeper, QUOTA_LEASE_MS } from './leased-quota-keeper.ts'
import { LeasedRateLimiter, RATE_LEASE_MS } from './leased-rate-limiter.ts'
import { LoadShedding } from './load-shedding.ts'
import { GatewayMetrics } from './metrics.ts'
import { HeartbeatLiveness } from './owner-liveness.ts'
import { QuotaLeases } from './quota-leases.ts'
import { RateAllotments } from './rate-allotments.ts'
import { RecallChannel } from './recall-channel.ts'
import { makeRecordUsage } from './record-usage.ts'
import { makeRequestCountSource } from './request-count.ts'
import { RequestIds } from './request-id.ts'
import { SignalBoard } from './signal-board.ts'
import { StallWatch } from './stall-watch.ts'
import { parseTenantEntry, type TenantEntry } from './tenant-entry.ts'
import { TlsCertificates } from './tls-certificates.ts'
import { makeTlsEdge } from './tls-edge.ts'
import type { Upstream } from './upstream.ts'
import { LinkUpstream } from './upstream-link.ts'
import { OwnBackendUpstream } from './upstream-own.ts'
import { PipelinedUpstream } from './upstream-pipelined.ts'
import { UndiciUpstream } from './upstream-undici.ts'
import { Upstreams } from './upstreams.ts'
import { JwtVerifier } from './verify-jwt.ts'
import { makeTenantWaker } from './wake-tenant.ts'
import { WebSocketTunnels } from './websocket-tunnels.ts'
import { type FromWorker, GATEWAY_ID_VARIABLE, processName, type ToWorker } from './worker-messages.ts'

/** How long a command may take before its limit's policy for Redis being away decides. */
const REDIS_TIMEOUT_MS = 1_000
const REDIS_PATIENCE_MS = 2_000
/** Few, so that many requests leave in one write. */
const PIPELINED_CONNECTIONS = 8
const SINGLE_CONNECTIONS = 128
/** Requests in flight on one connection to a backend of ours while it has no link. */
const OWN_PIPELINING = 8

/** One process that serves: wires the pipeline and takes connections from the primary. */
export async function startWorker(service: ServiceContext<GatewayConfig>): Promise<void> {
  const { config, log, lifecycle } = service
  const clock = systemClock
  const redis = connectRedis({
    urls: config.AERODB_REDIS_URL,
    connectionName: 'gateway',
    log,
    whenAway: 'fail-fast',
    commandTimeoutMs: REDIS_TIMEOUT_MS,
  })
  lifecycle.onStop('redis', () => redis.disconnect())
  const subscriber = connectSubscriber({
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
  const serviceTokens = new ServiceTokenCodec(config.AERODB_INTERNAL_SECRET)
  const upstreams = new Upstreams(config.AERODB_BACKEND_URLS, {
    own: (origin) => connectOwn(origin, () => serviceTokens.sign('gateway', clock.nowMs()), clock),
    registered: connectRegistered,
  })
  lifecycle.onStop('upstreams', () => upstreams.close())
  const control = new UndiciUpstream(new URL(config.AERODB_CONTROL_URL).origin)
  lifecycle.onStop('control', () => control.close())
  const jwks = new JwksCache({ allowPrivate: config.AERODB_WEBHOOK_ALLOW_PRIVATE, clock })
  lifecycle.onStop('jwks', () => jwks.close())

  const clients = new ClientConnections()
  const metrics = new GatewayMetrics({ tenants: () => directory.size, connections: () => clients.size })
  measureSpool(metrics.registry, spool)
  const accessLog = new AccessLog(log, config.AERODB_GATEWAY_ACCESS_LOG_SAMPLE)
  const recordUsage = makeRecordUsage(spool, clock)
  const signals = new SignalBoard(redis, log)
  signals.start()
  lifecycle.onStop('signals', () => signals.stop())
  const countInLedger = makeRequestCountSource(config.AERODB_METERING_URL, serviceTokens, clock)
  const liveness = new HeartbeatLiveness({
    redis,
    process: processName(process.env[GATEWAY_ID_VARIABLE] ?? randomUUID(), process.pid),
    clock,
  })
  const recalls = new RecallChannel(subscriber, liveness)
  const leased = { recalls, liveness, maxTenants: config.AERODB_GATEWAY_MAX_TENANTS, clock, log }
  const rateLimiter = new LeasedRateLimiter({
    ...leased,
    allotments: new RateAllotments({ redis, liveness, leaseMs: RATE_LEASE_MS }),
    whenAway: config.AERODB_GATEWAY_RATE_LIMIT_WHEN_REDIS_AWAY,
  })
  const quotaKeeper = new LeasedQuotaKeeper({
    ...leased,
    leases: new QuotaLeases({ redis, liveness, leaseMs: QUOTA_LEASE_MS, ledgerLagMs: LEDGER_LAG_MS }),
    countInLedger,
    whenAway: config.AERODB_GATEWAY_QUOTA_WHEN_REDIS_AWAY,
  })
  const connectionKeeper = new ConnectionKeeper({
    redis,
    liveness,
    whenAway: config.AERODB_GATEWAY_CONNECTIONS_WHEN_REDIS_AWAY,
    log,
  })
  lifecycle.onStop('leases', async () => {
    await Promise.all([rateLimiter.close(), quotaKeeper.close(), connectionKeeper.close()])
    recalls.stop()
    await liveness.stop()
  })
  const forgetLeases = (): void => {
    rateLimiter.forgetLeases()
    quotaKeeper.forgetLeases()
    connectionKeeper.announceAll()
  }
  liveness.onRebirth(forgetLeases)
  redis.on('ready', () => void liveness.beat())
  onRedisLoss(redis, () => {
    void liveness.beat()
    forgetLeases()
  })
  const tunnels = new WebSocketTunnels()
  const watch = new StallWatch(clock)
  lifecycle.onStop('watch', () => watch.close())
  const { serve, serveUpgrade } = makeApp({
    directory,
    authenticate: {
      jwt: new JwtVerifier({ sealer: new Sealer(config.AERODB_ENCRYPTION_KEYS), jwks, clock }),
      clock,
      failed: new FailedAttempts(config.AERODB_GATEWAY_FAILED_KEYS_PER_MINUTE, clock),
    },
    shedding: new LoadShedding(config.AERODB_GATEWAY_MAX_UNDER_WAY),
    rateLimiter,
    quotaKeeper,
    wake: makeTenantWaker(config.AERODB_CONTROL_URL, serviceTokens, clock),
    forward: {
      watch,
      bodyIdleMs: config.AERODB_GATEWAY_BODY_IDLE_MS,
      maxBodyBytes: config.AERODB_GATEWAY_MAX_BODY_BYTES,
      upstreams,
      control,
      connectUpgrade: (origin) => new Client(origin, { pipelining: 1, connectTimeout: 3_000 }),
      tunnels,
      connections: connectionKeeper,
      usage: spool,
      codec: new RequestContextCodec(config.AERODB_INTERNAL_SECRET),
      clock,
      beforeLastByte(exchange, outcome, done) {
        const durationMs = clock.monotonicMs() - exchange.startedMs
        metrics.responded(outcome.status, durationMs)
        signals.note(exchange, outcome.status)
        accessLog.write(exchange, outcome.status, outcome.egressBytes, durationMs)
        recordUsage(exchange, outcome, done)
      },
      onFault(exchange, fault) {
        log.warn({ err: fault.cause, kind: fault.kind, request_id: exchange.requestId }, 'the upstream failed')
      },
    },
    metrics,
    log,
  })
  const edge: HttpEdgeOptions = {
    serve,
    serveUpgrade,
    requestIds: new RequestIds(),
    hosts: new HostTargets(config.AERODB_DOMAIN),
    clients: new ClientOrigins(config.AERODB_GATEWAY_TRUSTED_PROXIES, config.AERODB_GATEWAY_TRUSTED_PROXIES_WRITE),
    clock,
    maxHeaderBytes: config.AERODB_GATEWAY_MAX_HEADER_BYTES,
    maxTargetBytes: config.AERODB_GATEWAY_MAX_TARGET_BYTES,
    headTimeoutMs: config.AERODB_GATEWAY_HEAD_TIMEOUT_MS,
    keepAliveMs: config.AERODB_GATEWAY_KEEP_ALIVE_MS,
  }
  const server = makeHttpEdge(edge)
  const tlsServer =
    config.AERODB_GATEWAY_TLS_DIRECTORY === undefined
      ? undefined
      : await startTls(config.AERODB_GATEWAY_TLS_DIRECTORY, edge, server, service)
  clients.follow(server)
  if (tlsServer !== undefined) clients.follow(tlsServer)
  lifecycle.onStop('connections', async () => {
    await tunnels.close()
    await clients.drain()
  })
  // The first that is stopped: no more connections come here.
  lifecycle.onStop('arrivals', () => void process.send?.({ type: 'leaving' } satisfies FromWorker))

  process.on('message', (message: ToWorker, socket: Socket | undefined) => {
    if (message.type === 'connection' && socket !== undefined) {
      process.send?.({ type: 'taken', id: message.id } satisfies FromWorker)
      clients.add(socket, message.isTls)
      socket.setNoDelay(true)
      const target = message.isTls ? tlsServer : server
      target?.emit('connection', socket)
      socket.resume()
    } else if (message.type === 'dead-processes') {
      for (const dead of message.processes) liveness.declareProcessDead(dead)
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

async function startTls(
  directory: string,
  edge: HttpEdgeOptions,
  http1: HttpServer,
  { log, lifecycle }: ServiceContext<GatewayConfig>,
): Promise<TlsServer> {
  const certificates = new TlsCertificates(directory, log)
  await certificates.start()
  lifecycle.onStop('certificates', () => certificates.stop())
  return makeTlsEdge({
    certificates,
    http1,
    maxHeaderBytes: edge.maxHeaderBytes,
    headTimeoutMs: edge.headTimeoutMs,
    keepAliveMs: edge.keepAliveMs,
    onHttp2Request: (request, response) => acceptRequest(request, response, edge),
  })
}

/** Safe requests go over connections of ours, as many in flight on each as the backend allows; all else over undici. */
function connectRegistered(origin: string, pipelining: number): CircuitBreaker {
  return new CircuitBreaker(connectHttp(origin, pipelining), systemClock)
}

/** Our own backends: what is small over their link (over HTTP until it stands), what is streamed over undici. */
function connectOwn(origin: string, token: () => string, clock: Clock): CircuitBreaker {
  const link = new LinkUpstream(origin, { token })
  const own = new OwnBackendUpstream(link, connectHttp(origin, OWN_PIPELINING), new UndiciUpstream(origin), clock)
  return new CircuitBreaker(own, clock)
}

function connectHttp(origin: string, pipelining: number): Upstream {
  const maxConnections = pipelining > 1 ? PIPELINED_CONNECTIONS : SINGLE_CONNECTIONS
  return new PipelinedUpstream(origin, { pipelining, maxConnections, single: new UndiciUpstream(origin) })
}
