import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { startShipper } from '../metering/shipper.ts'
import { openSpool } from '../metering/spool.ts'
import { measureSpool } from '../metering/spool-metrics.ts'
import { systemClock } from '../runtime/clock.ts'
import type { Lifecycle } from '../runtime/lifecycle.ts'
import { type LinkHandler, type ServedLink, serveLink } from '../runtime/link/link-server.ts'
import { acceptLink, asksForLink } from '../runtime/link/upgrade.ts'
import type { Logger } from '../runtime/log.ts'
import { connectRedis, connectSubscriber, whenRedisReady } from '../runtime/redis.ts'
import { Sealer } from '../runtime/seal.ts'
import { SERVICE_TOKEN_HEADER, ServiceTokenCodec } from '../runtime/service-token.ts'
import { DirectoryReader } from '../tenancy/directory-reader.ts'
import { LastKnownGood } from '../tenancy/last-known-good.ts'
import { RequestContextCodec } from '../tenancy/request-context.ts'
import { parseServerRecord, type ServerRecord } from '../tenancy/server-record.ts'
import { parseTenantSnapshot, type TenantSnapshot } from '../tenancy/snapshot.ts'
import { makeApp } from './app.ts'
import { Catalogues } from './catalogue/catalogues.ts'
import type { BackendConfig } from './config.ts'
import { makeBackendMetrics } from './metrics.ts'
import { type PoolLimits, Servers } from './postgres/servers.ts'
import { startRealtime } from './realtime/start-realtime.ts'
import { RequestContexts } from './request-contexts.ts'
import { Rest } from './rest/rest.ts'
import { openBlobStore } from './storage/config.ts'
import { executeOn } from './storage/database.ts'
import { storageListener } from './storage/listener.ts'
import { StorageApi } from './storage/storage-api.ts'
import { StorageGate } from './storage-size/storage-gate.ts'
import { StorageSampler } from './storage-size/storage-sampler.ts'

/** What is bounded in every pool; the figures are measured in README.md. */
const POOL_LIMITS: PoolLimits = {
  maxPreparedStatements: 200,
  maxInFlightPerConnection: 4,
  slowHeadMs: 20,
  maxInFlightPerTag: 32,
  maxWaiting: 5_000,
  maxWaitMs: 10_000,
  idleConnectionMs: 60_000,
  maxConnectionAgeMs: 600_000,
}

/** Tenants whose tokens, states and places are known at once. */
const MAX_TENANTS = 20_000

/** How long the start waits for Redis. */
const REDIS_WAIT_MS = 3_000

/** Starts the service: wires every part, in the order in which they need each other. @returns its URL. */
export async function startBackend(options: {
  config: BackendConfig
  log: Logger
  lifecycle: Lifecycle
}): Promise<{ url: string }> {
  const { config, log, lifecycle } = options
  const redisOptions = { urls: config.AERODB_REDIS_URL, log, whenAway: 'fail-fast' as const }
  const redis = connectRedis({ ...redisOptions, connectionName: 'backend', commandTimeoutMs: 1_000 })
  const subscriber = connectSubscriber({ ...redisOptions, connectionName: 'backend-subscriber' })
  lifecycle.onStop('redis', () => {
    redis.disconnect()
    subscriber.disconnect()
  })
  // Without Redis we serve what the last-known-good copies tell.
  await whenRedisReady(redis, REDIS_WAIT_MS).catch((fault) => log.warn({ err: fault }, 'starting without Redis'))
  const lastKnownGood = new LastKnownGood(join(config.AERODB_DATA_DIR, 'directory'), log)
  const directory = new DirectoryReader<ServerRecord>({
    kind: 'server',
    redis,
    subscriber,
    lastKnownGood,
    parse: parseServerRecord,
    versionOf: (record) => record.version,
    maxEntries: 20_000,
    clock: systemClock,
    log,
  })
  directory.start()
  lifecycle.onStop('directory', () => directory.stop())

  const tenants = new DirectoryReader<TenantSnapshot>({
    kind: 'tenant',
    redis,
    subscriber,
    lastKnownGood,
    parse: parseTenantSnapshot,
    versionOf: (snapshot) => snapshot.version,
    maxEntries: MAX_TENANTS,
    clock: systemClock,
    log,
  })
  tenants.start()
  lifecycle.onStop('tenants', () => tenants.stop())
  const codec = new RequestContextCodec(config.AERODB_INTERNAL_SECRET)
  const contexts = new RequestContexts(codec, systemClock, config.AERODB_BACKEND_TENANT)

  const catalogues = new Catalogues(config.AERODB_BACKEND_SCHEMA_CACHE_BYTES)
  const sealer = new Sealer(config.AERODB_ENCRYPTION_KEYS)
  const servers = new Servers({
    directory,
    sealer,
    limits: POOL_LIMITS,
    maxConnectionsPerServer: config.AERODB_BACKEND_MAX_CONNECTIONS,
    statementTimeoutMs: config.AERODB_BACKEND_STATEMENT_TIMEOUT_MS,
    ddlStatementTimeoutMs: 30_000,
    idleServerMs: 120_000,
    onSchemaChange: (server, schema) => {
      catalogues.drop(server, schema)
      realtime.schemaChanged(server, schema)
    },
    onGap: (server) => catalogues.dropServer(server),
    findPlacement: async (tenantId) => {
      const name = contexts.nameOf(tenantId)
      const snapshot = name === undefined ? null : await tenants.load(name)
      return snapshot?.tenant_id === tenantId ? snapshot.placement?.server : undefined
    },
    log,
  })
  lifecycle.onStop('servers', () => servers.close())

  const spoolDirectory = join(config.AERODB_DATA_DIR, 'spool')
  const shipper = startShipper({ directory: spoolDirectory, redisUrls: config.AERODB_REDIS_URL, log })
  lifecycle.onStop('shipper', () => shipper.close())
  const usage = openSpool({ directory: spoolDirectory, log })
  lifecycle.onStop('spool', () => usage.close())
  const realtime = startRealtime({
    contexts: codec,
    servers,
    directory,
    sealer,
    usage,
    redisUrls: config.AERODB_REDIS_URL,
    tenants,
    redis,
    allowPrivateJwks: config.AERODB_WEBHOOK_ALLOW_PRIVATE,
    lifecycle,
    log,
  })
  const sampler = new StorageSampler({ servers, usage, clock: systemClock, log })
  sampler.start()
  lifecycle.onStop('sampler', () => sampler.stop())

  const storage = new StorageApi({
    executor: executeOn(servers),
    blobs: await openBlobStore(config, config.AERODB_DATA_DIR),
    usage,
    urlSecrets: config.AERODB_ENCRYPTION_KEYS,
    maxObjectBytes: config.AERODB_STORAGE_MAX_OBJECT_BYTES,
    clock: systemClock,
    log,
  })
  lifecycle.onStop('storage', () => storage.close())

  const metrics = makeBackendMetrics({ servers, countRealtime: () => realtime.connectionCount })
  measureSpool(metrics, usage)
  const services = new ServiceTokenCodec(config.AERODB_INTERNAL_SECRET)
  const isControl = (token: string | undefined) => services.verify(token ?? '', systemClock.nowMs()) === 'control'
  const app = makeApp({
    isControl,
    contexts,
    servers,
    catalogues,
    rest: new Rest({
      catalogues,
      limits: { maxRows: config.AERODB_BACKEND_MAX_ROWS, aggregates: true },
      extras: { plans: config.AERODB_BACKEND_PLANS, txOverride: config.AERODB_BACKEND_TX_OVERRIDE },
    }),
    gate: new StorageGate(),
    storage: storageListener(
      storage,
      (headers) => contexts.read(headers).context,
      (headers) => isControl(String(headers[SERVICE_TOKEN_HEADER])),
    ),
    realtime,
    metrics,
    maxBodyBytes: config.AERODB_BACKEND_MAX_BODY_BYTES,
    log,
  })
  // An upload may take as long as it flows: storage gives up bodies that stand still.
  const server = createServer(
    { keepAliveTimeout: 75_000, headersTimeout: 60_000, requestTimeout: 0, maxHeaderSize: 65_536 },
    app.listener,
  )
  const links = acceptLinks(server, app.link, services)
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (!asksForLink(request)) realtime.handleUpgrade(request, socket, head)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(config.AERODB_BACKEND_PORT, config.AERODB_BACKEND_HOST, resolve)
  })
  lifecycle.onStop('http', async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    // A connection may become idle at any moment from now on, and would be kept alive for a minute.
    const sweep = setInterval(() => server.closeIdleConnections(), 50)
    await Promise.all([closed, ...[...links].map((link) => link.drain())])
    clearInterval(sweep)
  })
  // Stopped before the HTTP server, which waits for open sockets.
  lifecycle.onStop('realtime', () => realtime.stop())
  const { port } = server.address() as AddressInfo
  return { url: `http://${config.AERODB_BACKEND_HOST}:${port}` }
}

/** Grants links to the gateways on the HTTP server's port. @returns the links that are open now. */
function acceptLinks(server: Server, handler: LinkHandler, codec: ServiceTokenCodec): ReadonlySet<ServedLink> {
  const links = new Set<ServedLink>()
  server.on('upgrade', (request: IncomingMessage, socket: Socket, rest: Buffer) => {
    if (!asksForLink(request) || !acceptLink(request, socket, codec, systemClock.nowMs())) return
    const link = serveLink(socket, handler, rest)
    links.add(link)
    socket.once('close', () => links.delete(link))
  })
  return links
}
