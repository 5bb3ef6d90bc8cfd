import type Stripe from 'stripe'
import type { Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { InvoiceDocument } from '../invoice-document.ts'
import { bringCreditNote } from './stripe-credit-note.ts'
import { INVOICE_METADATA, StripeMismatchError, toMinorUnits } from './stripe-invoice.ts'
import {
  type Claimed,
  claimNext,
  enlistInvoices,
  findCustomer,
  markDone,
  markFailed,
  saveCustomer,
} from './stripe-store.ts'

const TENANT_METADATA = 'aerodb_tenant_id'
const LINE_METADATA = 'aerodb_line'
const MAX_BACK_OFF_MS = 6 * 3_600_000

/**
 * Brings issued invoices to Stripe and keeps them in step. For each: (1) the customer, (2) the invoice as a draft, (3) its
 * lines, (4) the comparison of totals, (5) finalisation, (6) the note in our database. A crash between any two: the next
 * attempt finds by metadata what is there and makes the rest; within Stripe's 24 hours its idempotency keys say the same.
 */
export class StripeSync {
  readonly #stripe: Stripe
  readonly #pool: PostgresPool
  readonly #clock: Clock
  readonly #log: Logger

  constructor(options: { stripe: Stripe; pool: PostgresPool; clock: Clock; log: Logger }) {
    this.#stripe = options.stripe
    this.#pool = options.pool
    this.#clock = options.clock
    this.#log = options.log
  }

  /** Pushes all that is due. @returns how many invoices were brought in step. */
  async push(): Promise<number> {
    await enlistInvoices(this.#pool, new Date(this.#clock.nowMs()))
    let done = 0
    for (;;) {
      const claimed = await claimNext(this.#pool, new Date(this.#clock.nowMs()))
      if (claimed === undefined) return done
      if (await this.#pushOne(claimed)) done += 1
    }
  }

  async #pushOne(claimed: Claimed): Promise<boolean> {
    const { invoiceId, attempts } = claimed
    try {
      if (claimed.document.kind === 'credit_note') {
        await markDone(this.#pool, invoiceId, await bringCreditNote(this.#stripe, claimed), true)
        return true
      }
      if (await this.#isNeedless(claimed)) {
        await markDone(this.#pool, invoiceId, null, true)
        return true
      }
      const invoice = await this.#bringInvoice(claimed)
      await this.#settle(claimed, invoice)
      await markDone(this.#pool, invoiceId, invoice.id, claimed.state !== 'issued')
      return true
    } catch (fault) {
      const final = fault instanceof StripeMismatchError
      const backOffMs = Math.min(30_000 * 2 ** Math.min(attempts, 10), MAX_BACK_OFF_MS)
      const next = final ? undefined : new Date(this.#clock.nowMs() + backOffMs)
      await markFailed(this.#pool, invoiceId, fault instanceof Error ? fault.message : String(fault), next)
      this.#log.error({ err: fault, invoice_id: invoiceId, attempts }, 'an invoice could not be brought to Stripe')
      return false
    }
  }

  /** Paid or voided before Stripe heard of it: then its customer need not hear of it from Stripe. */
  async #isNeedless({ state, stripeInvoiceId, attempts, invoiceId }: Claimed): Promise<boolean> {
    if (state === 'issued' || stripeInvoiceId !== null) return false
    return attempts === 1 || (await this.#findInvoice(invoiceId)) === undefined
  }

  async #bringInvoice(claimed: Claimed): Promise<Stripe.Invoice> {
    const { document, invoiceId, stripeInvoiceId, attempts } = claimed
    let invoice =
      stripeInvoiceId === null
        ? attempts > 1
          ? await this.#findInvoice(invoiceId)
          : undefined
        : await this.#stripe.invoices.retrieve(stripeInvoiceId)
    if (invoice === undefined) {
      const customer = await this.#bringCustomer(claimed)
      invoice = await this.#stripe.invoices.create(
        {
          customer,
          collection_method: 'send_invoice',
          days_until_due: daysUntilDue(document),
          auto_advance: false,
          currency: document.currency.toLowerCase(),
          pending_invoice_items_behavior: 'exclude',
          description: `Usage of ${document.month}`,
          metadata: { [INVOICE_METADATA]: invoiceId },
          ...(document.number === null ? {} : { number: document.number }),
        },
        { idempotencyKey: `aerodb-invoice-${invoiceId}` },
      )
    }
    if (invoice.status !== 'draft') return this.#checkTotal(invoice, document)
    await this.#bringLines(invoice, claimed)
    const complete = await this.#stripe.invoices.retrieve(invoice.id)
    this.#checkTotal(complete, document)
    return this.#stripe.invoices.finalizeInvoice(
      invoice.id,
      { auto_advance: true },
      { idempotencyKey: `aerodb-finalize-${invoiceId}` },
    )
  }

  async #bringCustomer({ tenantId, document }: Claimed): Promise<string> {
    const known = await findCustomer(this.#pool, tenantId)
    if (known !== undefined) return known
    const found = await this.#stripe.customers.search({
      query: `metadata['${TENANT_METADATA}']:'${tenantId}'`,
      limit: 1,
    })
    const { customer: to } = document
    const customer =
      found.data[0] ??
      (await this.#stripe.customers.create(
        {
          name: to?.name ?? document.tenant_name,
          metadata: { [TENANT_METADATA]: tenantId },
          ...(to?.email ? { email: to.email } : {}),
        },
        { idempotencyKey: `aerodb-customer-${tenantId}` },
      ))
    await saveCustomer(this.#pool, tenantId, customer.id)
    return customer.id
  }

  /** Adds the lines that are not there yet; each carries its place, so a second attempt adds none twice. */
  async #bringLines(invoice: Stripe.Invoice, { document, invoiceId, attempts }: Claimed): Promise<void> {
    const present = new Set<string>()
    if (attempts > 1) {
      for await (const line of this.#stripe.invoices.listLineItems(invoice.id, { limit: 100 }))
        present.add(line.metadata[LINE_METADATA] ?? '')
    }
    const customer = typeof invoice.customer === 'string' ? invoice.customer : (invoice.customer?.id ?? '')
    const lines = [...document.lines, ...document.tax_lines]
    for (const [place, line] of lines.entries()) {
      if (line.amount_micros === 0 || present.has(String(place))) continue
      await this.#stripe.invoiceItems.create(
        {
          customer,
          invoice: invoice.id,
          currency: document.currency.toLowerCase(),
          amount: toMinorUnits(line.amount_micros, document.currency),
          description: line.description,
          metadata: { [LINE_METADATA]: String(place) },
        },
        { idempotencyKey: `aerodb-line-${invoiceId}-${place}` },
      )
    }
  }

  #checkTotal(invoice: Stripe.Invoice, document: InvoiceDocument): Stripe.Invoice {
    const expected = toMinorUnits(document.total_micros, document.currency)
    if (invoice.total !== expected)
      throw new StripeMismatchError(`Stripe's invoice ${invoice.id} is over ${invoice.total}, ours over ${expected}`)
    return invoice
  }

  /** Paid (by bank transfer) or voided here: then it is there too. */
  async #settle({ state, invoiceId }: Claimed, invoice: Stripe.Invoice): Promise<void> {
    if (invoice.status !== 'open') return
    if (state === 'paid')
      await this.#stripe.invoices.pay(
        invoice.id,
        { paid_out_of_band: true },
        { idempotencyKey: `aerodb-pay-${invoiceId}` },
      )
    else if (state === 'void')
      await this.#stripe.invoices.voidInvoice(invoice.id, {}, { idempotencyKey: `aerodb-void-${invoiceId}` })
  }

  async #findInvoice(invoiceId: string): Promise<Stripe.Invoice | undefined> {
    const found = await this.#stripe.invoices.search({
      query: `metadata['${INVOICE_METADATA}']:'${invoiceId}'`,
      limit: 1,
    })
    return found.data[0]
  }
}

/** Pushes every minute. @returns how to stop. */
export function keepPushing(sync: { push(): Promise<number> }, log: Logger, everyMs = 60_000): () => Promise<void> {
  let running: Promise<unknown> = Promise.resolve()
  const timer = setInterval(() => {
    running = running
      .then(() => sync.push())
      .catch((fault: unknown) => log.error({ err: fault }, 'Stripe could not be told'))
  }, everyMs)
  return async () => {
    clearInterval(timer)
    await running
  }
}

function daysUntilDue(document: InvoiceDocument): number {
  const ms = Date.parse(document.due_at ?? '') - Date.parse(document.issued_at ?? '')
  return Number.isNaN(ms) ? 14 : Math.max(0, Math.round(ms / 86_400_000))
}
