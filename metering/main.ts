import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { serve } from '@hono/node-server'
import { z } from 'zod'
import { systemClock } from '../runtime/clock.ts'
import { port, readConfig, secret, url, urlList } from '../runtime/config.ts'
import { LOG_LEVELS } from '../runtime/log.ts'
import { migrate } from '../runtime/migrations.ts'
import { makePostgresPool } from '../runtime/postgres-pool.ts'
import { connectRedis } from '../runtime/redis.ts'
import { serviceMain } from '../runtime/service-main.ts'
import { ServiceTokenCodec } from '../runtime/service-token.ts'
import { loadPlanCatalogue } from '../tenancy/plan.ts'
import { makeApp } from './app.ts'
import { Billing } from './billing.ts'
import { billingRoutes } from './billing-routes.ts'
import { DEFAULT_SELLER, noTax, sellerSchema } from './invoice-document.ts'
import { exportLedger } from './ledger-export.ts'
import { ensureLedgerPartitions, keepLedgerPartitions } from './ledger-partitions.ts'
import { makeMeteringMetrics } from './metrics.ts'
import { keepClosingMonths } from './month-closer.ts'
import { PdfRenderer } from './pdf-renderer.ts'
import { RedisUsageStream } from './redis-stream.ts'
import { keepAddingUpRevenue } from './revenue.ts'
import { Sink } from './sink.ts'
import { keepWatchingSpend, SpendWatch } from './spend.ts'
import { meterNamesSchema, StripeMeters } from './stripe/stripe-meters.ts'
import { keepPushing, StripeSync } from './stripe/stripe-sync.ts'
import { makeStripe, stripeWebhookRoutes } from './stripe/stripe-webhook.ts'
import { UsageStore } from './usage-store.ts'

const configSchema = z.object({
  AERODB_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  AERODB_METERING_HOST: z.string().min(1).default('127.0.0.1'),
  AERODB_METERING_PORT: port.default(8082),
  AERODB_DATABASE_URL: url('postgres:', 'postgresql:'),
  AERODB_REDIS_URL: urlList('redis:', 'rediss:'),
  AERODB_INTERNAL_SECRET: secret,
  AERODB_PLAN_CATALOGUE: z.string().min(1).optional(),
  /** A JSON file: who sends the invoices (name, address, email, tax_id, website, payment_days, payment_note). */
  AERODB_INVOICE_SELLER: z.string().min(1).optional(),
  /** Stripe is off without a key. */
  AERODB_STRIPE_SECRET_KEY: z.string().min(1).optional(),
  AERODB_STRIPE_WEBHOOK_SECRET: z.string().min(1).optional(),
  /** Usage that is reported to Stripe's meters: `{"api_requests":"<event name>", ...}`. */
  AERODB_STRIPE_METERS: z
    .string()
    .transform((text, context) => {
      try {
        return meterNamesSchema.parse(JSON.parse(text))
      } catch {
        context.addIssue('must be JSON such as {"api_requests":"aerodb_requests"}')
        return z.NEVER
      }
    })
    .optional(),
  AERODB_STRIPE_API_BASE: url('http:', 'https:').optional(),
})

await serviceMain(
  'metering',
  () => readConfig(configSchema),
  async ({ config, log, lifecycle }) => {
    const clock = systemClock
    const catalogue = loadPlanCatalogue(config.AERODB_PLAN_CATALOGUE)
    const seller =
      config.AERODB_INVOICE_SELLER === undefined
        ? DEFAULT_SELLER
        : sellerSchema.parse(JSON.parse(await readFile(config.AERODB_INVOICE_SELLER, 'utf8')))
    await migrate({
      databaseUrl: config.AERODB_DATABASE_URL,
      schema: 'metering',
      directory: fileURLToPath(new URL('./migrations', import.meta.url)),
      log,
    })
    const pool = makePostgresPool({
      url: config.AERODB_DATABASE_URL,
      applicationName: 'aerodb-metering',
      maxConnections: 10,
      statementTimeoutMs: 30_000,
      log,
    })
    lifecycle.onStop('database', () => pool.end())
    await ensureLedgerPartitions(pool, clock, log)
    lifecycle.onStop('partitions', keepLedgerPartitions(pool, clock, log))
    const redis = connectRedis({
      urls: config.AERODB_REDIS_URL,
      connectionName: 'aerodb-metering',
      log,
      whenAway: 'fail-fast',
      commandTimeoutMs: 5_000,
    })
    lifecycle.onStop('redis', () => redis.disconnect())
    const stream = new RedisUsageStream(redis)
    const sink = new Sink({
      databaseUrl: config.AERODB_DATABASE_URL,
      pool,
      stream,
      clock,
      log,
    })
    sink.start()
    lifecycle.onStop('sink', () => sink.close())
    const billing = new Billing({ pool, catalogue, seller, tax: noTax, clock })
    const spend = new SpendWatch({ pool, billing, clock })
    lifecycle.onStop('spend', keepWatchingSpend(spend, log))
    lifecycle.onStop('invoices', keepClosingMonths(billing, clock, log))
    lifecycle.onStop('revenue', keepAddingUpRevenue(pool, billing, clock, log))
    const pdf = new PdfRenderer()
    lifecycle.onStop('pdf', () => pdf.close())
    const billingApp = billingRoutes({ pool, billing, spend, catalogue, clock, pdf })
    if (config.AERODB_STRIPE_SECRET_KEY !== undefined) {
      const stripe = makeStripe(config.AERODB_STRIPE_SECRET_KEY, config.AERODB_STRIPE_API_BASE)
      lifecycle.onStop('stripe', keepPushing(new StripeSync({ stripe, pool, clock, log }), log))
      if (config.AERODB_STRIPE_METERS !== undefined) {
        const meters = new StripeMeters({ stripe, pool, clock, log, names: config.AERODB_STRIPE_METERS })
        lifecycle.onStop('stripe meters', keepPushing(meters, log, 3_600_000))
      }
      const webhookSecret = config.AERODB_STRIPE_WEBHOOK_SECRET
      if (webhookSecret !== undefined)
        billingApp.route('/', stripeWebhookRoutes({ stripe, billing, webhookSecret, clock }))
    }
    const metrics = makeMeteringMetrics({
      sink: () => sink.stats(),
      countWaiting: () => stream.countWaiting(),
      findOldestMs: () => stream.findOldestMs(),
      nowMs: () => clock.nowMs(),
    })
    const app = makeApp({
      metrics,
      usage: new UsageStore(pool),
      billing: billingApp,
      exportLedger: (tenantId, month) => exportLedger(pool, tenantId, month),
      tokens: new ServiceTokenCodec(config.AERODB_INTERNAL_SECRET),
      clock,
      log,
      checkHealth: async () => {
        await pool.query('select 1')
        return { sink: sink.stats() }
      },
    })
    const server = await new Promise<ReturnType<typeof serve>>((resolve, reject) => {
      const listening = serve(
        { fetch: app.fetch, hostname: config.AERODB_METERING_HOST, port: config.AERODB_METERING_PORT },
        () => resolve(listening),
      )
      listening.once('error', reject)
    })
    lifecycle.onStop('http', () => new Promise<void>((resolve) => server.close(() => resolve())))
    const address = server.address()
    const boundPort = typeof address === 'object' && address !== null ? address.port : config.AERODB_METERING_PORT
    const base = `http://${config.AERODB_METERING_HOST}:${boundPort}`
    log.info({ url: base }, 'metering is ready')
    lifecycle.ready({ url: base })
  },
)
