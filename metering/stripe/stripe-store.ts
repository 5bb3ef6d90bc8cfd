import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { InvoiceDocument } from '../invoice-document.ts'

/** An invoice that this process has claimed to push: nobody else does until the claim runs out. */
export type Claimed = {
  invoiceId: string
  tenantId: string
  state: 'issued' | 'paid' | 'void'
  document: InvoiceDocument
  /** Of the invoice itself; of a credit note: of the note. */
  stripeInvoiceId: string | null
  /** What a credit note corrects, in Stripe. */
  correctedStripeId: string | null
  /** This attempt included: above 1 an earlier one may have got somewhere. */
  attempts: number
}

/**
 * Takes invoices on that are owed and not known here yet, and credit notes of invoices that Stripe has. What was never owed
 * has nothing to do in Stripe.
 */
export async function enlistInvoices(pool: PostgresPool, now: Date): Promise<void> {
  await pool.query(
    `insert into metering.stripe_invoices (invoice_id, next_attempt_at)
     select invoice_id, $1 from metering.invoices i
     where (kind = 'invoice' and total_micros > 0 and state = 'issued'
         or kind = 'credit_note' and exists (
           select from metering.stripe_invoices c where c.invoice_id = i.corrects and c.state = 'done' and c.stripe_invoice_id is not null))
       and not exists (select from metering.stripe_invoices s where s.invoice_id = i.invoice_id)
     on conflict do nothing`,
    [now],
  )
}

/**
 * Claims the next invoice that is to be pushed, or that was paid or voided here since it was. The claim is committed before
 * Stripe is called and runs out after five minutes: a killed process's work is taken up again, never done twice at once.
 */
export async function claimNext(pool: PostgresPool, now: Date): Promise<Claimed | undefined> {
  const { rows } = await pool.query<{
    invoice_id: string
    tenant_id: string
    state: Claimed['state']
    document: InvoiceDocument
    stripe_invoice_id: string | null
    corrected_stripe_id: string | null
    attempts: number
  }>(
    `update metering.stripe_invoices s set attempts = attempts + 1, next_attempt_at = $1::timestamptz + interval '5 minutes'
     from metering.invoices i
     where i.invoice_id = s.invoice_id and s.invoice_id = (
       select c.invoice_id from metering.stripe_invoices c join metering.invoices j using (invoice_id)
       where c.next_attempt_at <= $1 and (c.state = 'open' or (c.state = 'done' and not c.settled and j.state <> 'issued'))
       order by c.next_attempt_at limit 1 for update of c skip locked)
     returning s.invoice_id, i.tenant_id, i.state, i.document, s.stripe_invoice_id, s.attempts,
       (select c.stripe_invoice_id from metering.stripe_invoices c where c.invoice_id = i.corrects) as corrected_stripe_id`,
    [now],
  )
  const row = rows[0]
  if (row === undefined) return undefined
  return {
    invoiceId: row.invoice_id,
    tenantId: row.tenant_id,
    state: row.state,
    document: row.document,
    stripeInvoiceId: row.stripe_invoice_id,
    correctedStripeId: row.corrected_stripe_id,
    attempts: row.attempts,
  }
}

/** Notes that Stripe has the invoice as we have it. */
export async function markDone(
  pool: PostgresPool,
  invoiceId: string,
  stripeInvoiceId: string | null,
  settled: boolean,
) {
  await pool.query(
    `update metering.stripe_invoices set state = 'done', stripe_invoice_id = $2, settled = $3, attempts = 0,
       next_attempt_at = '-infinity', last_error = null where invoice_id = $1`,
    [invoiceId, stripeInvoiceId, settled],
  )
}

/** Notes that an attempt failed: again at `next`, or never without one. */
export async function markFailed(pool: PostgresPool, invoiceId: string, error: string, next: Date | undefined) {
  await pool.query(
    `update metering.stripe_invoices set last_error = $2, state = case when $3::timestamptz is null then 'failed' else state end,
       next_attempt_at = coalesce($3, next_attempt_at) where invoice_id = $1`,
    [invoiceId, error.slice(0, 1_000), next ?? null],
  )
}

export async function findCustomer(pool: PostgresPool, tenantId: string): Promise<string | undefined> {
  const { rows } = await pool.query<{ customer_id: string }>(
    'select customer_id from metering.stripe_customers where tenant_id = $1',
    [tenantId],
  )
  return rows[0]?.customer_id
}

export async function saveCustomer(pool: PostgresPool, tenantId: string, customerId: string): Promise<void> {
  await pool.query(
    'insert into metering.stripe_customers (tenant_id, customer_id) values ($1, $2) on conflict do nothing',
    [tenantId, customerId],
  )
}

/** Invoices that stand otherwise in Stripe than they should: waiting for long, failed, or never pushed. */
export async function findProblems(pool: PostgresPool) {
  const { rows } = await pool.query<{ invoice_id: string; state: string; attempts: number; last_error: string | null }>(
    `select i.invoice_id, coalesce(s.state, 'missing') as state, coalesce(s.attempts, 0) as attempts, s.last_error
     from metering.invoices i left join metering.stripe_invoices s using (invoice_id)
     where i.kind = 'invoice' and i.total_micros > 0 and i.state = 'issued'
       and (s.invoice_id is null or s.state = 'failed' or (s.state = 'open' and s.attempts > 3))
     order by i.issued_at limit 200`,
  )
  return rows
}
