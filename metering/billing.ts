import { createHash } from 'node:crypto'
import type { PoolClient } from 'pg'
import type { Clock } from '../runtime/clock.ts'
import { makeId } from '../runtime/ids.ts'
import { inTransaction, type PostgresPool } from '../runtime/postgres-pool.ts'
import { Problem } from '../runtime/problem.ts'
import type { PlanCatalogue } from '../tenancy/plan.ts'
import { insertCreditUses, lockCredits, readOpenCredits, takeCredits } from './credits.ts'
import { addLines, type InvoiceDocument, type Seller, type TaxHook, totalInvoice } from './invoice-document.ts'
import {
  type BilledTenant,
  findBilled,
  findCreditNotes,
  findInvoice,
  findInvoiceById,
  findLateMonths,
  findTenant,
  findUnbilledTenants,
  findUnknownTenants,
  insertInvoices,
  type LateMonth,
  lockInvoice,
  lockNumbers,
  type PreparedInvoice,
  type StoredInvoice,
  saveLastNumber,
  setState,
} from './invoice-store.ts'
import { addQuantities, type Quantities } from './meters.ts'
import { type Month, parseMonth } from './month.ts'
import { segmentsOfMonth, UnknownPlanError, withPlans } from './plan-history.ts'
import { minorUnitMicros, rateMonth } from './rating.ts'
import { readSegmentUsage, type UsageRequest } from './segment-usage.ts'

/** Tenants that are rated and numbered in one transaction. */
const BATCH = 250

export type BillingOptions = {
  pool: PostgresPool
  catalogue: PlanCatalogue
  seller: Seller
  tax: TaxHook
  clock: Clock
}

export type CloseResult = {
  month: string
  closed: number
  /** Tenants that could not be invoiced; run the job again once the reason is gone. */
  failed: { tenant_id: string; code: string; detail: string }[]
}

/** The life of invoices: `draft` (computed, never stored) → `issued` → `paid` or `void`; corrected by credit notes only. */
export class Billing {
  readonly #options: BillingOptions

  constructor(options: BillingOptions) {
    this.#options = options
  }

  /**
   * Issues the invoices of a month that is over, for every tenant that has none: any number of replicas may run it at once
   * and again; each tenant gets one invoice, and numbers have no gaps.
   * @throws Problem 409 `month_open`.
   */
  async closeMonth(month: Month): Promise<CloseResult> {
    const { pool, clock } = this.#options
    if (clock.nowMs() < month.endMs)
      throw new Problem(409, 'month_open', { detail: `${month.text} is not over: its invoices are drafts.` })
    const failed: CloseResult['failed'] = (await findUnknownTenants(pool, month)).map((tenant_id) => ({
      tenant_id,
      code: 'no_plan_history',
      detail: 'The tenant used the platform, but its plan is not known to billing.',
    }))
    let closed = 0
    for (let after = ''; ; ) {
      const tenants = await findUnbilledTenants(pool, month, after, BATCH)
      const last = tenants.at(-1)
      if (last === undefined) return { month: month.text, closed, failed }
      after = last.tenantId
      const prepared = await this.#prepare(pool, tenants, month, failed)
      closed += await this.#issue(prepared, month)
    }
  }

  /** The month's invoice as it would be now. `undefined` when there is nothing to bill, or nobody knows the tenant. */
  async draft(tenantId: string, month: Month): Promise<InvoiceDocument | undefined> {
    const { pool, clock, tax } = this.#options
    if (clock.nowMs() < month.startMs) return undefined
    const tenant = await findTenant(pool, tenantId)
    if (tenant === undefined) return undefined
    const failed: CloseResult['failed'] = []
    const [prepared] = await this.#prepare(pool, [tenant], month, failed)
    const [failure] = failed
    if (failure !== undefined) throw new Problem(500, failure.code, { detail: failure.detail })
    if (prepared === undefined) return undefined
    const { document } = prepared
    const credits = (await readOpenCredits(pool, [tenantId])).get(tenantId) ?? []
    return addLines(document, takeCredits(credits, document.subtotal_micros), tax)
  }

  /** Every tenant's draft of a month as it would be now, with the plan it is on last; what cannot be rated is left out. */
  async *drafts(month: Month): AsyncGenerator<{ plan: string | undefined; totalMicros: number }> {
    const { pool } = this.#options
    for (let after = ''; ; ) {
      const tenants = await findUnbilledTenants(pool, month, after, BATCH)
      const last = tenants.at(-1)
      if (last === undefined) return
      after = last.tenantId
      for (const { document, basis } of await this.#prepare(pool, tenants, month, []))
        yield { plan: basis.segments.at(-1)?.plan.id, totalMicros: document.total_micros }
    }
  }

  get currency(): string {
    return this.#options.catalogue.currency
  }

  /**
   * Gives back a part of an issued invoice, or all that is left of it. Told again under the same key it gives nothing more.
   * @throws Problem 404 `not_found`, 409 `credit_exceeds_invoice`.
   */
  async credit(
    invoiceId: string,
    amountMicros: number | undefined,
    reason: string,
    key?: string,
  ): Promise<StoredInvoice> {
    const { pool, clock, seller } = this.#options
    const creditId = key === undefined ? makeId('inv', clock.nowMs()) : creditNoteId(invoiceId, key)
    await inTransaction(pool, async (client) => {
      const invoice = await this.#lockLiving(client, invoiceId)
      if ((await findInvoiceById(client, creditId)) !== undefined) return
      const earlier = await findCreditNotes(client, invoiceId)
      const left = invoice.document.total_micros + earlier.reduce((sum, note) => sum + note.document.total_micros, 0)
      const amount = amountMicros ?? left
      if (amount <= 0 || amount > left || amount % minorUnitMicros(invoice.document.currency) !== 0)
        throw new Problem(409, 'credit_exceeds_invoice', {
          detail: `Of this invoice ${left} micro-units are left to be credited, in whole minor units of its currency.`,
        })
      const { lines: _lines, tax_lines: _tax, ...head } = invoice.document
      const issuedAt = new Date(clock.nowMs()).toISOString()
      const line = { kind: 'credit' as const, description: reason, amount_micros: -amount }
      const series = `CN-${issuedAt.slice(0, 4)}`
      const number = (await lockNumbers(client, series)) + 1
      const document = totalInvoice(
        {
          ...head,
          invoice_id: creditId,
          kind: 'credit_note',
          number: formatNumber(series, number),
          corrects: head.number,
          seller,
          issued_at: issuedAt,
          due_at: null,
          lines: [line],
        },
        () => [],
      )
      await saveLastNumber(client, series, number)
      await insertInvoices(client, [{ document, series, number, state: 'paid', corrects: invoiceId, billed: [] }])
    })
    return this.#require(await findInvoiceById(pool, creditId))
  }

  /** Notes that an invoice is paid. Doing it again changes nothing. @throws Problem 404, 409 `invoice_void`. */
  async pay(invoiceId: string, note: string | null): Promise<StoredInvoice> {
    const { pool, clock } = this.#options
    return inTransaction(pool, async (client) => {
      const invoice = await this.#lockLiving(client, invoiceId)
      if (invoice.state === 'issued') await setState(client, invoiceId, 'paid', new Date(clock.nowMs()), note)
      return this.#require(await lockInvoice(client, invoiceId))
    })
  }

  /** Takes an unpaid invoice back; its number stays used, and the month can be closed anew. @throws Problem 404, 409. */
  async void(invoiceId: string, reason: string | null): Promise<StoredInvoice> {
    const { pool, clock } = this.#options
    return inTransaction(pool, async (client) => {
      const invoice = await this.#lockLiving(client, invoiceId)
      if (invoice.state !== 'issued')
        throw new Problem(409, 'invoice_paid', { detail: 'A paid invoice is corrected by a credit note.' })
      if ((await findCreditNotes(client, invoiceId)).length > 0)
        throw new Problem(409, 'invoice_credited', { detail: 'The invoice has credit notes.' })
      await setState(client, invoiceId, 'void', new Date(clock.nowMs()), reason)
      return this.#require(await lockInvoice(client, invoiceId))
    })
  }

  /** An invoice or credit note. @throws Problem 404 `not_found`. */
  async get(invoiceId: string): Promise<StoredInvoice> {
    return this.#require(await findInvoiceById(this.#options.pool, invoiceId))
  }

  /** The living invoice of a month. */
  find(tenantId: string, month: Month): Promise<StoredInvoice | undefined> {
    return findInvoice(this.#options.pool, tenantId, month)
  }

  async #lockLiving(client: PoolClient, invoiceId: string): Promise<StoredInvoice> {
    const invoice = this.#require(await lockInvoice(client, invoiceId))
    if (invoice.document.kind !== 'invoice') throw notFound()
    if (invoice.state === 'void') throw new Problem(409, 'invoice_void', { detail: 'The invoice is void.' })
    return invoice
  }

  #require(invoice: StoredInvoice | undefined): StoredInvoice {
    if (invoice === undefined) throw notFound()
    return invoice
  }

  /** Rates a month for each tenant, with what came late for the months before; a tenant that cannot be rated is `failed`. */
  async #prepare(
    db: PostgresPool,
    tenants: readonly BilledTenant[],
    month: Month,
    failed: CloseResult['failed'],
  ): Promise<PreparedInvoice[]> {
    const { catalogue, clock } = this.#options
    const late = Map.groupBy(
      await findLateMonths(
        db,
        tenants.map((tenant) => tenant.tenantId),
        month,
      ),
      (one) => one.tenantId,
    )
    const own: { tenant: BilledTenant; request: UsageRequest; late: readonly LateMonth[] }[] = []
    for (const tenant of tenants) {
      try {
        const segments = withPlans(segmentsOfMonth(tenant.history, month), catalogue)
        const lateMonths = late.get(tenant.tenantId) ?? []
        if (segments.length > 0 || lateMonths.length > 0)
          own.push({ tenant, request: { tenantId: tenant.tenantId, month, segments }, late: lateMonths })
      } catch (fault) {
        if (!(fault instanceof UnknownPlanError)) throw fault
        failed.push({ tenant_id: tenant.tenantId, code: 'unknown_plan', detail: fault.message })
      }
    }
    const lateRequests = own.flatMap(({ late: months }) =>
      months.map((one) => ({
        tenantId: one.tenantId,
        month: parseMonth(one.month),
        segments: one.basis.segments,
      })),
    )
    const usage = await readSegmentUsage(db, [...own.map((one) => one.request), ...lateRequests], clock.nowMs())
    let nextLate = own.length
    return own.flatMap(({ tenant, request, late: months }, i) => {
      const lateUsage = months.map(() => usage[nextLate++] ?? [])
      const invoice = this.#rate(tenant, request, usage[i] ?? [], months, lateUsage)
      return invoice === undefined ? [] : [invoice]
    })
  }

  #rate(
    tenant: BilledTenant,
    { month, segments }: UsageRequest,
    usage: readonly Quantities[],
    lateMonths: readonly LateMonth[],
    lateUsage: readonly (readonly Quantities[])[],
  ): PreparedInvoice | undefined {
    const { catalogue, seller, tax } = this.#options
    const { currency } = catalogue
    const minor = minorUnitMicros(currency)
    const rating = rateMonth(
      segments.map((segment, s) => ({ ...segment, usage: usage[s] ?? {} })),
      secondsOf(month),
      minor,
    )
    const adjustments = lateMonths.flatMap((one, l) => {
      const again = rateMonth(
        one.basis.segments.map((segment, s) => ({ ...segment, usage: lateUsage[l]?.[s] ?? {} })),
        secondsOf(parseMonth(one.month)),
        minor,
      )
      const amount_micros = again.total_micros - one.billedMicros
      const description = `Usage of ${one.month} recorded after its invoice`
      return amount_micros === 0 ? [] : [{ kind: 'adjustment' as const, description, month: one.month, amount_micros }]
    })
    if (segments.length === 0 && adjustments.length === 0) return undefined
    const totals = usage.reduce<Quantities>((sum, one) => addQuantities(sum, one), {})
    return {
      document: totalInvoice(
        {
          invoice_id: null,
          kind: 'invoice',
          number: null,
          tenant_id: tenant.tenantId,
          tenant_name: tenant.history.name,
          month: month.text,
          period: { start: new Date(month.startMs).toISOString(), end: new Date(month.endMs).toISOString() },
          currency,
          seller,
          customer: tenant.customer,
          issued_at: null,
          due_at: null,
          corrects: null,
          lines: [...rating.lines, ...adjustments],
        },
        tax,
      ),
      basis: {
        segments: [...segments],
        totals: Object.fromEntries(Object.entries(totals).map(([meter, quantity]) => [meter, String(quantity)])),
      },
      billed: [
        { month: month.text, rated_micros: rating.total_micros },
        ...adjustments.map((line) => ({ month: line.month, rated_micros: line.amount_micros })),
      ],
    }
  }

  /** Numbers and stores invoices in one transaction; those that another replica has issued meanwhile are left out. */
  async #issue(prepared: readonly PreparedInvoice[], month: Month): Promise<number> {
    if (prepared.length === 0) return 0
    const { pool, clock, seller, tax } = this.#options
    return inTransaction(pool, async (client) => {
      const now = clock.nowMs()
      const issuedAt = new Date(now).toISOString()
      const dueAt = new Date(now + seller.payment_days * 86_400_000).toISOString()
      const series = issuedAt.slice(0, 4)
      const last = await lockNumbers(client, series)
      const tenantIds = prepared.map((one) => one.document.tenant_id)
      const billed = await findBilled(client, tenantIds, month.text)
      const open = prepared.filter((one) => !billed.has(one.document.tenant_id))
      await lockCredits(client, tenantIds)
      const credits = await readOpenCredits(client, tenantIds)
      const uses: Parameters<typeof insertCreditUses>[1][number][] = []
      const numbered = open.map(({ document: rated, basis, billed: months }, i) => {
        const { tenant_id } = rated
        const invoice_id = makeId('inv', now)
        const lines = takeCredits(credits.get(tenant_id) ?? [], rated.subtotal_micros)
        for (const { key, amount_micros } of lines)
          uses.push({ invoice_id, tenant_id, key, amount_micros: -amount_micros })
        const number = last + 1 + i
        const document = {
          ...addLines(rated, lines, tax),
          invoice_id,
          number: formatNumber(series, number),
          issued_at: issuedAt,
          due_at: dueAt,
          basis,
        }
        // Where nothing is owed nothing is waited for.
        const state = document.total_micros > 0 ? ('issued' as const) : ('paid' as const)
        return { document, series, number, state, corrects: null, billed: months }
      })
      await insertInvoices(client, numbered)
      await insertCreditUses(client, uses)
      await saveLastNumber(client, series, last + open.length)
      return open.length
    })
  }
}

/** The same for the same key: a credit note that was made and not heard of is found by it. */
function creditNoteId(invoiceId: string, key: string): string {
  return `inv_${createHash('sha256')
    .update(JSON.stringify([invoiceId, key]))
    .digest('hex')
    .slice(0, 26)}`
}

function secondsOf(month: Month): number {
  return (month.endMs - month.startMs) / 1_000
}

function formatNumber(series: string, number: number): string {
  return `${series}-${String(number).padStart(6, '0')}`
}

function notFound(): Problem {
  return new Problem(404, 'not_found', { detail: 'There is no such invoice.' })
}
