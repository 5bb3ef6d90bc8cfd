import { Hono } from 'hono'
import type { Registry } from 'prom-client'
import { z } from 'zod'
import type { Clock } from '../runtime/clock.ts'
import { renderProblems, requestIdMiddleware, type ServiceVariables } from '../runtime/hono-service.ts'
import type { Logger } from '../runtime/log.ts'
import { Problem } from '../runtime/problem.ts'
import { SERVICE_TOKEN_HEADER, type ServiceTokenCodec } from '../runtime/service-token.ts'
import { type Month, monthOf, type Period, parseMonth, parsePeriod } from './month.ts'
import { buildUsageDocument } from './usage-document.ts'
import { buildSeries, SERIES_STEPS } from './usage-series.ts'
import type { UsageStore } from './usage-store.ts'

export type AppOptions = {
  usage: UsageStore
  metrics: Registry
  billing: Hono<{ Variables: ServiceVariables }>
  exportLedger: (tenantId: string, month: Month) => ReadableStream<Uint8Array>
  tokens: ServiceTokenCodec
  clock: Clock
  log: Logger
  /** What `/healthz` says besides `ok`; throws when the service cannot do its work. */
  checkHealth: () => Promise<Record<string, unknown>>
}

const pageQuery = z.object({
  after: z.string().max(64).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(200),
})
const seriesQuery = z.object({
  resource: z.string().max(64).default('api_requests'),
  step: z.enum(SERIES_STEPS).default('day'),
  by: z.enum(['status']).optional(),
  from: z.string().optional(),
  to: z.string().optional(),
})

/** The internal API of metering. All but `/healthz`, `/livez` and `/metrics` (for Prometheus; names no tenant) is for our own
 * services: the service token is asked for first. */
export function makeApp(options: AppOptions): Hono<{ Variables: ServiceVariables }> {
  const { usage, clock, log } = options
  const app = new Hono<{ Variables: ServiceVariables }>()
  app.use(requestIdMiddleware(log))
  renderProblems(app)
  app.get('/healthz', async (c) => {
    try {
      return c.json({ status: 'ok', ...(await options.checkHealth()) })
    } catch (fault) {
      throw new Problem(503, 'unavailable', { detail: 'The ledger cannot be reached.', cause: fault })
    }
  })
  // Whether the process answers at all: one that waits for its database must not be started anew for that.
  app.get('/livez', (c) => c.json({ status: 'ok' }))
  app.get('/metrics', async (c) =>
    c.body(await options.metrics.metrics(), 200, { 'Content-Type': options.metrics.contentType }),
  )
  app.use('/internal/*', async (c, next) => {
    if (options.tokens.verify(c.req.header(SERVICE_TOKEN_HEADER), clock.nowMs()) === undefined)
      throw new Problem(401, 'unauthorized', { detail: 'This address is for our own services.' })
    await next()
  })
  app.route('/internal/v1', options.billing)
  const readSeries = async (tenantId: string, period: Period, query: Record<string, string>) => {
    const parsed = seriesQuery.safeParse(query)
    if (!parsed.success) throw new Problem(400, 'invalid_step', { detail: 'step must be hour or day; by, status.' })
    const { resource, step, by } = parsed.data
    const nowMs = clock.nowMs()
    const data = await buildSeries(usage, tenantId, period, resource, step, nowMs, by === 'status')
    return { tenant_id: tenantId, resource, step, data, as_of: new Date(nowMs).toISOString() }
  }
  app.get('/internal/v1/tenants/:tenant/usage/:month', async (c) => {
    const month = parseMonth(c.req.param('month'))
    return c.json(await buildUsageDocument(usage, c.req.param('tenant'), month, clock.nowMs()))
  })
  app.get('/internal/v1/tenants/:tenant/usage/:month/series', async (c) => {
    const month = parseMonth(c.req.param('month'))
    return c.json({ month: month.text, ...(await readSeries(c.req.param('tenant'), month, c.req.query())) })
  })
  app.get('/internal/v1/tenants/:tenant/usage-series', async (c) => {
    const { from = '', to = '' } = c.req.query()
    return c.json({ from, to, ...(await readSeries(c.req.param('tenant'), parsePeriod(from, to), c.req.query())) })
  })
  app.get('/internal/v1/tenants/:tenant/request-count', async (c) => {
    const text = c.req.query('month')
    const month = text === undefined ? monthOf(clock.nowMs()) : parseMonth(text)
    const { requests } = await usage.readTotals(c.req.param('tenant'), month)
    return c.json({ count: requests, as_of: new Date(clock.nowMs()).toISOString() })
  })
  app.get('/internal/v1/tenants/:tenant/ledger/:month', (c) => {
    const month = parseMonth(c.req.param('month'))
    const name = `ledger-${c.req.param('tenant').replace(/\W/g, '_')}-${month.text}.csv`
    return c.body(options.exportLedger(c.req.param('tenant'), month), 200, {
      'Content-Type': 'text/csv; charset=utf-8',
      'Content-Disposition': `attachment; filename="${name}"`,
    })
  })
  app.get('/internal/v1/quota-use', async (c) => {
    const text = c.req.query('month')
    const month = text === undefined ? monthOf(clock.nowMs()) : parseMonth(text)
    const page = pageQuery.safeParse(c.req.query())
    if (!page.success) throw new Problem(400, 'invalid_query', { detail: 'limit must be from 1 to 1000.' })
    const { after, limit } = page.data
    const tenants = await usage.readQuotaUse(month, after, limit)
    return c.json({
      data: tenants.map((tenant) => ({
        tenant_id: tenant.tenantId,
        api_requests: tenant.requests,
        peak_connections: tenant.peakConnections,
      })),
      next_after: tenants.length === limit ? (tenants.at(-1)?.tenantId ?? null) : null,
    })
  })
  app.get('/internal/v1/storage', async (c) => {
    const page = pageQuery.safeParse(c.req.query())
    if (!page.success) throw new Problem(400, 'invalid_query', { detail: 'limit must be from 1 to 1000.' })
    const { after, limit } = page.data
    const tenants = await usage.readStorage(after, limit)
    return c.json({
      data: tenants.map((tenant) => ({
        tenant_id: tenant.tenantId,
        documents_bytes: tenant.documentsBytes,
        files_bytes: tenant.filesBytes,
        sampled_at: tenant.sampledAt.toISOString(),
      })),
      next_after: tenants.length === limit ? (tenants.at(-1)?.tenantId ?? null) : null,
    })
  })
  return app
}
