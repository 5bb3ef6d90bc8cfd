import { hostname } from 'node:os'
import { serve } from '@hono/node-server'
import { type Clock, systemClock } from '../runtime/clock.ts'
import { makeId } from '../runtime/ids.ts'
import type { Lifecycle } from '../runtime/lifecycle.ts'
import type { Logger } from '../runtime/log.ts'
import { migrate } from '../runtime/migrations.ts'
import { makePostgresPool } from '../runtime/postgres-pool.ts'
import { connectRedis } from '../runtime/redis.ts'
import { Sealer } from '../runtime/seal.ts'
import { ServiceTokenCodec } from '../runtime/service-token.ts'
import { DirectoryPublisher } from '../tenancy/directory-publisher.ts'
import { type Isolation, loadPlanCatalogue } from '../tenancy/plan.ts'
import { RequestContextCodec } from '../tenancy/request-context.ts'
import { makeApp } from './app/app.ts'
import { MeteringClient } from './app/metering-client.ts'
import type { ControlConfig } from './config.ts'
import { DirectoryPublication } from './directory/publication.ts'
import { WebhookSender } from './outreach/webhook-sender.ts'
import type { TenantSleep } from './provisioners/own-server/sleep.ts'
import { startProvisioning } from './provisioners/provisioning.ts'
import { migrateJobQueue, startJobQueue } from './reconciler/job-queue.ts'
import { forgetOld, purgeExpired, requeueAbandoned, startDuties } from './reconciler/maintenance.ts'
import { makeProcedureTable } from './reconciler/procedures.ts'
import { Reconciler, type ReconcilerOptions } from './reconciler/reconciler.ts'
import { refreshStorage } from './reconciler/storage-refresh.ts'
import { ensureOwnerKey } from './stores/platform-key-store.ts'
import { requeueDeliveries } from './stores/webhook-store.ts'

/** Operations, and jobs, that one process works on at once. */
const CONCURRENCY = 8
const CONCURRENT_DELIVERIES = 8
const METADATA_CONNECTIONS = 20
/** How often tenants' own servers are looked at for activity. */
const PAUSE_LOOK_MS = 10_000

export type ControlDependencies = {
  log: Logger
  /** Where every part registers how it is stopped. */
  lifecycle: Pick<Lifecycle, 'onStop'>
  clock?: Clock
  afterStep?: ReconcilerOptions['afterStep']
  leaseSeconds?: number
}

export type StartedControl = { url: string; sleep: TenantSleep }

/**
 * Starts the control service: tables, queue, servers, directory, reconciler and API, in this order; it serves when the
 * promise resolves. Everything that is started is stopped by the lifecycle, in reverse.
 */
export async function startControl(config: ControlConfig, dependencies: ControlDependencies): Promise<StartedControl> {
  const { log, lifecycle, clock = systemClock } = dependencies
  const catalogue = loadPlanCatalogue(config.AERODB_PLAN_CATALOGUE)
  const sealer = new Sealer(config.AERODB_ENCRYPTION_KEYS)
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
  if (config.AERODB_PLATFORM_KEY !== undefined) await ensureOwnerKey(pool, config.AERODB_PLATFORM_KEY)

  const redis = connectRedis({
    urls: config.AERODB_REDIS_URL,
    connectionName: 'aerodb-control',
    log,
    whenAway: 'fail-fast',
    commandTimeoutMs: 2_000,
  })
  lifecycle.onStop('redis', () => redis.disconnect())
  const publication = new DirectoryPublication({ pool, publisher: new DirectoryPublisher(redis), catalogue, log })

  const provisioning = await startProvisioning({
    pool,
    publish: publication.publish,
    sealer,
    sharedUrls: config.AERODB_SHARED_DATABASE_URLS,
    dataDirectory: config.AERODB_DATA_DIR,
    keepServers: config.AERODB_KEEP_TENANT_SERVERS,
    log,
  })
  lifecycle.onStop('provisioning', () => provisioning.close())
  publication.start()
  lifecycle.onStop('directory', () => publication.stop())

  const reconciler = new Reconciler({
    pool,
    publish: publication.publish,
    procedures: makeProcedureTable(provisioning.provisioners, catalogue),
    owner,
    concurrency: CONCURRENCY,
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
  const metering = new MeteringClient({
    url: config.AERODB_METERING_URL,
    tokens,
    clock,
  })
  const pauseAfterMs = config.AERODB_PAUSE_AFTER_SECONDS * 1_000
  const duties = startDuties(
    [
      { name: 'requeue abandoned operations', everyMs: 1_000, run: () => requeueAbandoned(pool) },
      { name: 'requeue webhook deliveries', everyMs: 10_000, run: () => requeueDeliveries(pool) },
      { name: 'purge after retention', everyMs: 5_000, run: () => purgeExpired(pool, publication.publish) },
      {
        name: 'refresh storage',
        everyMs: 3_000,
        run: () => refreshStorage({ pool, publish: publication.publish, metering, catalogue }),
      },
      {
        name: 'pause quiet tenants',
        everyMs: PAUSE_LOOK_MS,
        run: async () => {
          if (pauseAfterMs > 0) await provisioning.sleep.pauseQuiet(pauseAfterMs, PAUSE_LOOK_MS * 1.5)
        },
      },
      { name: 'forget what is over', everyMs: 600_000, run: () => forgetOld(pool) },
    ],
    log,
  )
  lifecycle.onStop('duties', () => duties.stop())

  const app = makeApp(
    {
      pool,
      publish: publication.publish,
      reconciler,
      sealer,
      catalogue,
      metering,
      isolations: Object.keys(provisioning.provisioners) as Isolation[],
      wake: (tenantId) => provisioning.sleep.wake(tenantId),
      tokens,
      contexts: new RequestContextCodec(config.AERODB_INTERNAL_SECRET),
      backendUrls: config.AERODB_BACKEND_URLS ?? [],
      allowPrivateAddresses: config.AERODB_WEBHOOK_ALLOW_PRIVATE,
      domain: config.AERODB_DOMAIN,
      clock,
    },
    log,
  )
  return { url: await listen(app.fetch, config.AERODB_CONTROL_PORT, lifecycle), sleep: provisioning.sleep }
}

async function listen(
  fetch: Parameters<typeof serve>[0]['fetch'],
  port: number,
  lifecycle: Pick<Lifecycle, 'onStop'>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch, port, hostname: '127.0.0.1' }, (address) => {
      lifecycle.onStop(
        'http server',
        () =>
          new Promise<void>((done) => {
            server.close(() => done())
            if ('closeIdleConnections' in server) server.closeIdleConnections()
          }),
      )
      resolve(`http://127.0.0.1:${address.port}`)
    })
    server.once('error', reject)
  })
}
