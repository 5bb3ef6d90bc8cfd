import { hostname } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '../runtime/clock.ts'
import { FailedAttempts } from '../runtime/failed-attempts.ts'
import { makeId } from '../runtime/ids.ts'
import type { Lifecycle } from '../runtime/lifecycle.ts'
import type { Logger } from '../runtime/log.ts'
import { migrate } from '../runtime/migrations.ts'
import { makePostgresPool, type PostgresPool } from '../runtime/postgres-pool.ts'
import { connectRedis, onRedisLoss } from '../runtime/redis.ts'
import { Sealer } from '../runtime/seal.ts'
import { ServiceTokenCodec } from '../runtime/service-token.ts'
import { DirectoryPublisher } from '../tenancy/directory-publisher.ts'
import { type Isolation, loadPlanCatalogue } from '../tenancy/plan.ts'
import { RequestContextCodec } from '../tenancy/request-context.ts'
import type { ReplicatedServer } from './alerts/replication-watch.ts'
import { silenceRoutes } from './alerts/silence-routes.ts'
import { makeApp } from './app/app.ts'
import { readDashboardFiles } from './app/dashboard-files.ts'
import type { AppServices } from './app/environment.ts'
import type { ControlConfig } from './config.ts'
import { DirectoryPublication } from './directory/publication.ts'
import { makeDnsKeeper, tenantsTableSource } from './dns/make-dns-keeper.ts'
import { listDuties } from './duties.ts'
import { Exports } from './exporting/exports.ts'
import { listen } from './http-listener.ts'
import { auditIsolation } from './isolation-audit/audit-isolation.ts'
import { IsolationAudits } from './isolation-audit/isolation-audits.ts'
import { listOwnServers } from './isolation-audit/own-servers.ts'
import { ReportSigner } from './isolation-audit/report-signature.ts'
import { isolationAuditRoutes } from './isolation-audit/routes.ts'
import type { MoveOptions } from './moving/ends.ts'
import { makeMoveProcedure } from './moving/move-procedure.ts'
import { WebhookSender } from './outreach/webhook-sender.ts'
import { makeBackendEnvironment } from './provisioners/cluster/backend-environment.ts'
import { tenantOfCluster } from './provisioners/cluster/cluster-parts.ts'
import type { Clusters } from './provisioners/cluster/clusters.ts'
import { DedicatedBackends } from './provisioners/cluster/dedicated-backends.ts'
import type { AddressOf } from './provisioners/kubernetes/kubernetes-provisioner.ts'
import type { TenantSleep } from './provisioners/own-server/sleep.ts'
import { type Provisioning, startProvisioning } from './provisioners/provisioning.ts'
import { migrateJobQueue, startJobQueue } from './reconciler/job-queue.ts'
import { startDuties } from './reconciler/maintenance.ts'
import { makeProcedureTable } from './reconciler/procedures.ts'
import { Reconciler, type ReconcilerOptions } from './reconciler/reconciler.ts'
import { maintenanceRoutes } from './sla/maintenance-routes.ts'
import { metricsRoutes } from './sla/metrics-route.ts'
import { slaRoutes } from './sla/sla-routes.ts'
import { BackendClient } from './stores/backend-client.ts'
import type { PublishTouched } from './stores/change.ts'
import { MeteringClient } from './stores/metering-client.ts'
import { ensurePlatformKey } from './stores/platform-key-store.ts'
import { makeRemoveCounters } from './stores/tenant-counters.ts'
import { makeRemoveFiles } from './stores/tenant-files.ts'
import { startWatch } from './watch.ts'

/** Operations, and jobs, that one process works on at once. */
const CONCURRENCY = 8
const CONCURRENT_DELIVERIES = 8
const METADATA_CONNECTIONS = 20

export type ControlDependencies = {
  log: Logger
  /** Where every part registers how it is stopped. */
  lifecycle: Pick<Lifecycle, 'onStop'>
  clock?: Clock
  afterStep?: ReconcilerOptions['afterStep']
  leaseSeconds?: number
  /** How long a moved tenant's old server is kept. */
  moveGraceMs?: number
  /** Where servers on Kubernetes are reached, in tests. */
  addressOf?: AddressOf
}

export type StartedControl = { url: string; sleep: TenantSleep; clusters: Clusters }

/**
 * Starts the control service: tables, queue, servers, directory, reconciler and API, in this order; it serves when the
 * promise resolves. Everything that is started is stopped by the lifecycle, in reverse.
 */
export async function startControl(config: ControlConfig, dependencies: ControlDependencies): Promise<StartedControl> {
  const { log, lifecycle, clock = systemClock } = dependencies
  const catalogue = loadPlanCatalogue(config.AERODB_PLAN_CATALOGUE)
  const sealer = new Sealer(config.AERODB_ENCRYPTION_KEYS)
  const dashboard =
    config.AERODB_DASHBOARD_DIR === undefined ? undefined : await readDashboardFiles(config.AERODB_DASHBOARD_DIR)
  const owner = `${hostname()}:${process.pid}:${makeId('boot')}`

  await migrate({
    databaseUrl: config.AERODB_DATABASE_URL,
    schema: 'control',
    directory: new URL('./migrations', import.meta.url).pathname,
    log,
  })
  const pool = makePostgresPool({
    url: config.AERODB_DATABASE_URL,
    applicationName: 'aerodb-control',
    maxConnections: METADATA_CONNECTIONS,
    log,
  })
  lifecycle.onStop('metadata pool', () => pool.end())
  await migrateJobQueue(pool, log)
  for (const [key, name, role] of [
    [config.AERODB_PLATFORM_KEY, 'first owner', 'owner'],
    [config.AERODB_MONITORING_KEY, 'monitoring', 'viewer'],
  ] as const)
    if (key !== undefined) await ensurePlatformKey(pool, key, { name, role })

  const redis = connectRedis({
    urls: config.AERODB_REDIS_URL,
    connectionName: 'aerodb-control',
    log,
    whenAway: 'fail-fast',
    commandTimeoutMs: 2_000,
  })
  lifecycle.onStop('redis', () => redis.disconnect())
  const publication = new DirectoryPublication({ pool, publisher: new DirectoryPublisher(redis), catalogue, log })
  onRedisLoss(redis, () => publication.doubt())

  const provisioning = await startProvisioning({
    pool,
    publish: publication.publish,
    sealer,
    catalogue,
    sharedUrls: config.AERODB_SHARED_DATABASE_URLS,
    dataDirectory: config.AERODB_DATA_DIR,
    keepServers: config.AERODB_KEEP_TENANT_SERVERS,
    backends: makeDedicatedBackends(config, { pool, publish: publication.publish, owner, log }),
    kubernetes: config,
    ...(dependencies.addressOf === undefined ? {} : { addressOf: dependencies.addressOf }),
    clock,
    log,
  })
  lifecycle.onStop('provisioning', () => provisioning.close())
  publication.start()
  lifecycle.onStop('directory', () => publication.stop())

  const dns = makeDnsKeeper({ config, domain: config.AERODB_DOMAIN, source: tenantsTableSource(pool), log })
  if (dns !== undefined) {
    dns.start()
    lifecycle.onStop('dns', () => dns.stop())
  }
  const removers = {
    removeFiles: makeRemoveFiles({
      backendUrls: config.AERODB_BACKEND_URLS ?? [],
      tokens: new ServiceTokenCodec(config.AERODB_INTERNAL_SECRET),
      clock: systemClock,
    }),
    removeCounters: makeRemoveCounters(redis, systemClock),
  }
  const moves: MoveOptions = {
    pool,
    publish: publication.publish,
    provisioners: provisioning.provisioners,
    sealer,
    log,
    ...(dependencies.moveGraceMs === undefined ? {} : { graceMs: dependencies.moveGraceMs }),
    at: (point) => dependencies.afterStep?.(`move:${point}`),
  }
  const reconciler = new Reconciler({
    pool,
    publish: publication.publish,
    procedures: makeProcedureTable(provisioning.provisioners, catalogue, removers, makeMoveProcedure(moves)),
    owner,
    concurrency: CONCURRENCY,
    // A name that does not resolve yet never fails what made it: the keeper goes on trying.
    onEnded: (_, tenantName) => void dns?.changed(tenantName),
    log,
    ...(dependencies.afterStep === undefined ? {} : { afterStep: dependencies.afterStep }),
    ...(dependencies.leaseSeconds === undefined ? {} : { leaseSeconds: dependencies.leaseSeconds }),
  })
  lifecycle.onStop('reconciler', () => reconciler.drain())
  const webhooks = new WebhookSender({
    pool,
    publish: publication.publish,
    sealer,
    clock,
    log,
    allowPrivate: config.AERODB_WEBHOOK_ALLOW_PRIVATE,
  })
  lifecycle.onStop('webhooks', () => webhooks.close())
  const queue = await startJobQueue({
    pool,
    concurrency: CONCURRENCY,
    log,
    tasks: { operation: (payload) => reconciler.run((payload as { operation_id: string }).operation_id) },
  })
  lifecycle.onStop('job queue', () => queue.stop())
  // Apart from the operations: a receiver that does not answer must not hold up a tenant.
  const outbox = await startJobQueue({
    pool,
    concurrency: CONCURRENT_DELIVERIES,
    log,
    tasks: {
      webhook: (payload) => {
        const { message_id, webhook_id } = payload as { message_id: string; webhook_id: string }
        return webhooks.deliver(message_id, webhook_id)
      },
    },
  })
  lifecycle.onStop('webhook queue', () => outbox.stop())

  const tokens = new ServiceTokenCodec(config.AERODB_INTERNAL_SECRET)
  const backends = new BackendClient({ urls: config.AERODB_BACKEND_URLS ?? [], tokens, clock })
  const metering = new MeteringClient({
    url: config.AERODB_METERING_URL,
    tokens,
    clock,
  })
  const audits = new IsolationAudits({
    audit: async () =>
      auditIsolation({
        servers: [...provisioning.shared.list(), ...(await listOwnServers(provisioning.tenantsDirectory))],
        metadata: pool,
        directory: redis,
        backendUrls: config.AERODB_BACKEND_URLS ?? [],
        clock,
      }),
    pool,
    publish: publication.publish,
    log,
  })
  const watch = startWatch(config, {
    proberId: owner,
    pool,
    publish: publication.publish,
    metering,
    catalogue,
    replicated: () => listReplicated(provisioning),
    clock,
    log,
    lifecycle,
  })
  const { prober } = watch
  if (prober !== undefined) provisioning.sleep.alsoAsk((tenantId, withinMs) => prober.wasAsked(tenantId, withinMs))
  const duties = startDuties(
    [
      ...watch.duties,
      ...listDuties({
        config,
        pool,
        publish: publication.publish,
        metering,
        catalogue,
        sleep: provisioning.sleep,
        compute: provisioning.compute,
        kubernetes: provisioning.kubernetes,
        spares: provisioning.spares,
        upgrades: {
          pool,
          provisioners: provisioning.provisioners,
          backends,
          log,
          afterEach: () => dependencies.afterStep?.('upgrade:tenant'),
        },
        audits,
        moves,
        clock,
        log,
      }),
    ],
    log,
  )
  lifecycle.onStop('duties', () => duties.stop())

  const exports = new Exports(provisioning.provisioners, (tenantId) => provisioning.sleep.wake(tenantId))
  const services: AppServices = {
    backends,
    pool,
    publish: publication.publish,
    reconciler,
    sealer,
    catalogue,
    metering,
    takeSpare: async (change, isolation) => provisioning.provisioners[isolation]?.takeSpare?.(change),
    isolations: (Object.keys(provisioning.provisioners) as Isolation[]).filter((isolation) =>
      config.AERODB_ISOLATIONS.includes(isolation),
    ),
    wake: (tenantId) => provisioning.sleep.wake(tenantId),
    openExport: (tenant) => exports.open(tenant),
    readNodes: async ({ isolation, server, status }) =>
      isolation !== 'cluster' || server === null || status === 'deleted' ? [] : provisioning.readNodes(server),
    tokens,
    contexts: new RequestContextCodec(config.AERODB_INTERNAL_SECRET),
    backendUrls: config.AERODB_BACKEND_URLS ?? [],
    failedKeys: new FailedAttempts(config.AERODB_CONTROL_FAILED_KEYS_PER_MINUTE, clock),
    allowPrivateAddresses: config.AERODB_WEBHOOK_ALLOW_PRIVATE,
    domain: config.AERODB_DOMAIN,
    dashboard,
    clock,
  }
  const app = makeApp(services, log, [
    isolationAuditRoutes(audits, new ReportSigner(config.AERODB_INTERNAL_SECRET), pool),
    slaRoutes(services),
    metricsRoutes(watch.metrics),
    maintenanceRoutes(services),
    silenceRoutes(services),
  ])
  const url = await listen(app.fetch, config.AERODB_CONTROL_HOST, config.AERODB_CONTROL_PORT, lifecycle)
  return { url, sleep: provisioning.sleep, clusters: provisioning.clusters }
}

/** Backends of cluster tenants' own, where gateways can reach this machine. */
function makeDedicatedBackends(
  config: ControlConfig,
  parts: { pool: PostgresPool; publish: PublishTouched; owner: string; log: Logger },
): DedicatedBackends | undefined {
  const { AERODB_DEDICATED_BACKEND_HOST: host } = config
  if (host === undefined) return undefined
  const logDirectory = join(config.AERODB_DATA_DIR, 'logs')
  return new DedicatedBackends({ ...parts, env: makeBackendEnvironment(config, host), logDirectory })
}

/** The servers that have followers: a lag of theirs is worth an alert. */
function listReplicated({ shared, clusters }: Provisioning): ReplicatedServer[] {
  return [
    ...shared
      .list()
      .map(({ name, pool }): ReplicatedServer => ({ name, tenantId: null, withAdmin: (work) => work(pool) })),
    ...clusters.watched().map(
      (server): ReplicatedServer => ({
        name: server,
        tenantId: tenantOfCluster(server),
        withAdmin: (work) => clusters.withAdmin(server, work),
      }),
    ),
  ]
}
