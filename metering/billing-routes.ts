import { type Context, Hono } from 'hono'
import { z } from 'zod'
import type { Clock } from '../runtime/clock.ts'
import type { ServiceVariables } from '../runtime/hono-service.ts'
import type { PostgresPool } from '../runtime/postgres-pool.ts'
import { Problem } from '../runtime/problem.ts'
import type { PlanCatalogue } from '../tenancy/plan.ts'
import type { Billing } from './billing.ts'
import { computeFactsSchema, recordComputeFacts } from './compute-facts.ts'
import { addCredit, creditKeySchema, creditSchema, listCredits } from './credits.ts'
import { customerSchema, findCustomer, saveCustomer } from './customer.ts'
import { estimate, estimateSchema } from './estimate.ts'
import { findCreditNotes, listInvoices, saveHistory } from './invoice-store.ts'
import { type InvoiceView, summarise, toCsv, viewDraft, viewInvoice } from './invoice-view.ts'
import { monthOf, parseMonth, parsePeriod, previousMonth } from './month.ts'
import type { PdfRenderer } from './pdf-renderer.ts'
import { planHistorySchema } from './plan-history.ts'
import { readPlatformDays } from './platform-store.ts'
import { minorUnitMicros } from './rating.ts'
import { readRevenue } from './revenue.ts'
import { type SpendWatch, spendLimitsSchema } from './spend.ts'

export type BillingRoutesOptions = {
  pool: PostgresPool
  billing: Billing
  spend: SpendWatch
  catalogue: PlanCatalogue
  clock: Clock
  pdf: Pick<PdfRenderer, 'render'>
}

const FORMATS = { json: 'application/json', csv: 'text/csv', pdf: 'application/pdf' } as const
type Format = keyof typeof FORMATS

const creditNoteSchema = z.strictObject({
  amount_micros: z.number().int().positive().optional(),
  reason: z.string().min(1).max(300).default('Credit'),
  /** Makes it once. */
  key: z.string().min(1).max(300).optional(),
})
const noteSchema = z.strictObject({ note: z.string().min(1).max(300).nullable().default(null) })
const reasonSchema = z.strictObject({ reason: z.string().min(1).max(300).nullable().default(null) })
const listQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(200).optional(),
  tenant_id: z.string().max(64).optional(),
  month: z
    .string()
    .regex(/^\d{4}-(0[1-9]|1[0-2])$/, 'must be YYYY-MM')
    .optional(),
  state: z.enum(['draft', 'issued', 'paid', 'void']).optional(),
  kind: z.enum(['invoice', 'credit_note']).optional(),
})
/** What is shown while nothing is set: invoices then name the tenant. */
const NOBODY = { name: null, address: [], email: null, tax_id: null }
const creditKeyParam = z.object({ key: creditKeySchema })
const eventsQuery = z.object({
  after: z.coerce.number().int().nonnegative().default(0),
  limit: z.coerce.number().int().min(1).max(1_000).default(200),
})
const revenueQuery = z.object({ months: z.coerce.number().int().min(1).max(36).default(12) })
const cursorSchema = z.tuple([z.string(), z.string()])

/** The internal API of billing, mounted behind the service token. Control passes most of it on to the platform API. */
export function billingRoutes(options: BillingRoutesOptions): Hono<{ Variables: ServiceVariables }> {
  const { pool, billing, spend, catalogue, clock, pdf } = options
  const app = new Hono<{ Variables: ServiceVariables }>()

  app.put('/tenants/:tenant/plan-history', async (c) => {
    const history = await readBody(c, planHistorySchema)
    const saved = await saveHistory(pool, c.req.param('tenant'), history)
    return c.json({ saved })
  })
  app.post('/compute-facts', async (c) =>
    c.json({ mark: await recordComputeFacts(pool, await readBody(c, computeFactsSchema), clock.nowMs()) }),
  )
  app.put('/tenants/:tenant/customer', async (c) => {
    const customer = await readBody(c, customerSchema)
    await saveCustomer(pool, c.req.param('tenant'), customer)
    return c.json({ tenant_id: c.req.param('tenant'), ...customer })
  })
  app.get('/platform/days', async (c) => {
    const period = parsePeriod(c.req.query('from') ?? '', c.req.query('to') ?? '')
    return c.json({ data: await readPlatformDays(pool, period, clock.nowMs()) })
  })
  app.get('/platform/revenue', async (c) => {
    const query = revenueQuery.safeParse(c.req.query())
    if (!query.success) throw new Problem(400, 'invalid_query', { detail: 'months must be from 1 to 36.' })
    const data = await readRevenue(pool, monthOf(clock.nowMs()), query.data.months)
    return c.json({ currency: catalogue.currency, data })
  })
  app.get('/tenants/:tenant/customer', async (c) => {
    const customer = (await findCustomer(pool, c.req.param('tenant'))) ?? NOBODY
    return c.json({ tenant_id: c.req.param('tenant'), ...customer })
  })
  app.put('/tenants/:tenant/spend-limits', async (c) => {
    await spend.saveLimits(c.req.param('tenant'), await readBody(c, spendLimitsSchema))
    return c.json(await spend.readSpend(c.req.param('tenant')))
  })
  app.get('/tenants/:tenant/spend', async (c) => c.json(await spend.readSpend(c.req.param('tenant'))))
  app.get('/spend-events', async (c) => {
    const query = eventsQuery.safeParse(c.req.query())
    if (!query.success) throw new Problem(400, 'invalid_query', { detail: 'after and limit must be whole numbers.' })
    return c.json({ data: await spend.readEvents(query.data.after, query.data.limit) })
  })
  app.put('/tenants/:tenant/credits/:key', async (c) => {
    const key = creditKeyParam.safeParse({ key: c.req.param('key') })
    if (!key.success) throw invalid('The key breaks a rule.', key.error)
    const body = await readBody(c, creditSchema)
    const minor = minorUnitMicros(catalogue.currency)
    const now = new Date(clock.nowMs())
    const { credit, isNew } = await addCredit(pool, c.req.param('tenant'), key.data.key, body, minor, now)
    return c.json(credit, isNew ? 201 : 200)
  })
  app.get('/tenants/:tenant/credits', async (c) =>
    c.json({ data: await listCredits(pool, c.req.param('tenant')), next_cursor: null }),
  )
  app.post('/pricing/estimate', async (c) => c.json(estimate(await readBody(c, estimateSchema), catalogue)))
  app.post('/invoices/close', async (c) => {
    const month = c.req.query('month')
    return c.json(
      await billing.closeMonth(month === undefined ? previousMonth(monthOf(clock.nowMs())) : parseMonth(month)),
    )
  })
  app.post('/invoices/:invoice/credit-notes', async (c) => {
    const { amount_micros, reason, key } = await readBody(c, creditNoteSchema)
    return c.json(viewInvoice(await billing.credit(c.req.param('invoice'), amount_micros, reason, key)), 201)
  })
  app.post('/invoices/:invoice/pay', async (c) => {
    const { note } = await readBody(c, noteSchema)
    return c.json(viewInvoice(await billing.pay(c.req.param('invoice'), note)))
  })
  app.post('/invoices/:invoice/void', async (c) => {
    const { reason } = await readBody(c, reasonSchema)
    return c.json(viewInvoice(await billing.void(c.req.param('invoice'), reason)))
  })
  app.get('/tenants/:tenant/invoices', async (c) => {
    const tenantId = c.req.param('tenant')
    const page = readListQuery(c)
    const drafts = page.before === undefined && page.filter.kind !== 'credit_note' ? await readDrafts(tenantId) : []
    return listPage(c, { ...page, filter: { ...page.filter, tenantId } }, drafts)
  })
  app.get('/invoices', async (c) => listPage(c, readListQuery(c)))
  app.get('/invoices/:invoice', async (c) => {
    const format = readFormat(c.req.query('format'), c.req.header('accept'))
    return render(c, await viewStored(await billing.get(c.req.param('invoice'))), format, pdf)
  })
  app.get('/tenants/:tenant/invoices/:month', async (c) => {
    const format = readFormat(c.req.query('format'), c.req.header('accept'))
    const month = parseMonth(c.req.param('month'))
    const tenantId = c.req.param('tenant')
    const stored = await billing.find(tenantId, month)
    const view = stored === undefined ? await readDraft(tenantId, month.text) : await viewStored(stored)
    if (view === undefined)
      throw new Problem(404, 'not_found', { detail: `There is nothing to bill for ${month.text}.` })
    return render(c, view, format, pdf)
  })

  async function listPage(c: Context, page: ReturnType<typeof readListQuery>, drafts: readonly InvoiceView[] = []) {
    const { filter, before, limit } = page
    const shown = drafts.filter(
      ({ state, month }) => (filter.state ?? state) === state && (filter.month ?? month) === month,
    )
    const stored = filter.state === 'draft' ? [] : await listInvoices(pool, filter, before, limit)
    const last = stored.length === limit ? stored.at(-1) : undefined
    return c.json({
      data: [...shown, ...stored.map((invoice) => viewInvoice(invoice))].map(summarise),
      next_cursor:
        last === undefined
          ? null
          : Buffer.from(JSON.stringify([last.document.issued_at, last.invoiceId])).toString('base64url'),
    })
  }
  async function viewStored(stored: NonNullable<Awaited<ReturnType<Billing['find']>>>): Promise<InvoiceView> {
    return viewInvoice(stored, await findCreditNotes(pool, stored.invoiceId))
  }
  async function readDraft(tenantId: string, month: string): Promise<InvoiceView | undefined> {
    const document = await billing.draft(tenantId, parseMonth(month))
    return document === undefined ? undefined : viewDraft(document)
  }
  /** This month's draft, and last month's while it is not closed. */
  async function readDrafts(tenantId: string): Promise<InvoiceView[]> {
    const current = monthOf(clock.nowMs())
    const drafts: InvoiceView[] = []
    for (const month of [current, previousMonth(current)]) {
      if ((await billing.find(tenantId, month)) !== undefined) continue
      const draft = await readDraft(tenantId, month.text)
      if (draft !== undefined) drafts.push(draft)
    }
    return drafts
  }
  return app
}

async function render(
  c: Context,
  view: InvoiceView,
  format: Format,
  pdf: BillingRoutesOptions['pdf'],
): Promise<Response> {
  const name = `invoice-${view.number ?? `${view.tenant_name}-${view.month}-draft`}.${format}`
  const headers = {
    'Content-Type': format === 'csv' ? 'text/csv; charset=utf-8' : FORMATS[format],
    ...(format === 'json' ? {} : { 'Content-Disposition': `attachment; filename="${name.replace(/[^\w.-]/g, '_')}"` }),
    Vary: 'Accept',
  }
  if (format === 'json') return c.body(JSON.stringify(view), 200, headers)
  if (format === 'csv') return c.body(toCsv(view), 200, headers)
  return c.body(new Uint8Array(await pdf.render(view)), 200, headers)
}

/** `?format=` decides; else the first of the `Accept` types (RFC 9110 12.5.1) that we have; else JSON. */
export function readFormat(format: string | undefined, accept: string | undefined): Format {
  if (format !== undefined) {
    const named = (Object.keys(FORMATS) as Format[]).find((known) => known === format)
    if (named === undefined) throw new Problem(400, 'invalid_format', { detail: 'format must be json, csv or pdf.' })
    return named
  }
  const wanted = (accept ?? '*/*')
    .split(',')
    .map((part, place) => {
      const [type = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase())
      const quality = parameters.find((parameter) => parameter.startsWith('q='))
      return { type, q: quality === undefined ? 1 : Number(quality.slice(2)), place }
    })
    .filter(({ q }) => q > 0)
    .sort((a, b) => b.q - a.q || a.place - b.place)
  for (const { type } of wanted) {
    if (type === '*/*' || type === 'application/*') return 'json'
    if (type === 'text/*') return 'csv'
    for (const known of Object.keys(FORMATS) as Format[]) if (FORMATS[known] === type) return known
  }
  throw new Problem(406, 'not_acceptable', { detail: 'Invoices are JSON, CSV or PDF.' })
}

function readListQuery(c: Context) {
  const query = listQuery.safeParse(c.req.query())
  if (!query.success) throw invalid('The query breaks the rules of this call.', query.error)
  const { limit, cursor, tenant_id: tenantId, month, state, kind } = query.data
  return {
    limit,
    before: cursor === undefined ? undefined : readCursor(cursor),
    filter: { tenantId, month, state, kind },
  }
}

function invalid(detail: string, error: z.ZodError): Problem {
  return new Problem(400, 'validation_failed', {
    detail,
    errors: error.issues.map((issue) => ({ path: issue.path.join('.'), message: issue.message })),
  })
}

function readCursor(cursor: string): { issuedAt: string; invoiceId: string } {
  try {
    const [issuedAt, invoiceId] = cursorSchema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
    if (Number.isNaN(Date.parse(issuedAt))) throw new Error('no time')
    return { issuedAt, invoiceId }
  } catch {
    throw new Problem(400, 'invalid_cursor', { detail: 'The cursor is not one of ours.' })
  }
}

async function readBody<Schema extends z.ZodType>(c: Context, schema: Schema): Promise<z.output<Schema>> {
  const body: unknown = await c.req.json().catch(() => {
    throw new Problem(400, 'invalid_json', { detail: 'The body must be JSON.' })
  })
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw invalid('The body breaks the rules of this call.', result.error)
}
