import type { PoolClient } from 'pg'
import type { PostgresPool } from '../runtime/postgres-pool.ts'
import type { Customer } from './customer.ts'
import type { InvoiceDocument, InvoiceState } from './invoice-document.ts'
import type { Quantities } from './meters.ts'
import type { Month } from './month.ts'
import type { PlanHistory } from './plan-history.ts'
import type { RatedSegment } from './rating.ts'

type Db = Pick<PoolClient, 'query'>

export type BilledTenant = { tenantId: string; history: PlanHistory; customer: Customer | null }

/**
 * What an invoice was rated from, kept with it: stretches with the plan as it was priced then, and the quantities (as decimal
 * text) it billed. Usage that comes late is rated by the same.
 */
export type Basis = { segments: Omit<RatedSegment, 'usage'>[]; totals: Partial<Record<keyof Quantities, string>> }

export type StoredInvoice = {
  invoiceId: string
  state: Exclude<InvoiceState, 'draft'>
  document: InvoiceDocument
  paidAt: Date | null
  voidedAt: Date | null
  note: string | null
}

/** An invoice that is ready but for its id and number. `billed` says how much of it is for which month. */
export type PreparedInvoice = {
  document: InvoiceDocument
  basis: Basis
  billed: { month: string; rated_micros: number }[]
}

/** A month that was invoiced while its usage was not complete. */
export type LateMonth = { tenantId: string; month: string; basis: Basis; billedMicros: number }

/** Keeps a tenant's name and plan history unless a newer one is there. @returns false when it is older. */
export async function saveHistory(db: Db, tenantId: string, history: PlanHistory): Promise<boolean> {
  const { rowCount } = await db.query(
    `insert into metering.billed_tenants as t (tenant_id, name, version, segments)
     values ($1, $2, $3, $4)
     on conflict (tenant_id) do update set name = excluded.name, version = excluded.version, segments = excluded.segments,
       updated_at = now()
     where t.version <= excluded.version`,
    [tenantId, history.name, history.version, JSON.stringify(history.segments)],
  )
  return rowCount === 1
}

type TenantRow = { tenant_id: string; customer: Customer | null } & Omit<PlanHistory, 'version'> & {
    version: string | number
  }

const SELECT_TENANT = `select tenant_id, name, version, segments, customer
  from metering.billed_tenants t left join metering.customers using (tenant_id)`

function toTenant(row: TenantRow): BilledTenant {
  const { tenant_id: tenantId, name, version, segments, customer } = row
  return { tenantId, history: { name, version: Number(version), segments }, customer }
}

/** The tenant as it is billed, or `undefined` when control never told of it. */
export async function findTenant(db: Db, tenantId: string): Promise<BilledTenant | undefined> {
  const { rows } = await db.query<TenantRow>(`${SELECT_TENANT} where tenant_id = $1`, [tenantId])
  return rows[0] === undefined ? undefined : toTenant(rows[0])
}

/** Tenants without a living invoice of the month, in order of their ids. */
export async function findUnbilledTenants(db: Db, month: Month, after: string, limit: number): Promise<BilledTenant[]> {
  const { rows } = await db.query<TenantRow>(
    `${SELECT_TENANT} where tenant_id > $1 and not exists (select from metering.invoices i where i.tenant_id = t.tenant_id
       and i.month = $2::date and i.kind = 'invoice' and i.state <> 'void')
     order by tenant_id limit $3`,
    [after, `${month.text}-01`, limit],
  )
  return rows.map(toTenant)
}

/** Tenants that used something in the month, but of which control never told: nobody would pay for it. */
export async function findUnknownTenants(db: Db, month: Month): Promise<string[]> {
  const { rows } = await db.query<{ tenant_id: string }>(
    `select distinct tenant_id from metering.daily_totals d
     where day >= $1::date and day < ($1::date + interval '1 month')
       and not exists (select from metering.billed_tenants t where t.tenant_id = d.tenant_id)
     order by tenant_id limit 1000`,
    [`${month.text}-01`],
  )
  return rows.map((row) => row.tenant_id)
}

/** Months of the quarter before `month` whose totals are no longer those that their invoice was made from. */
export async function findLateMonths(db: Db, tenantIds: readonly string[], month: Month): Promise<LateMonth[]> {
  const { rows } = await db.query<{ tenant_id: string; month: string; basis: Basis; billed: string }>(
    `select i.tenant_id, to_char(i.month, 'YYYY-MM') as month, i.document->'basis' as basis, (
       select coalesce(sum(b.rated_micros), 0)::text from metering.billed_months b join metering.invoices o using (invoice_id)
       where b.tenant_id = i.tenant_id and b.month = i.month and o.state <> 'void') as billed
     from metering.invoices i
     cross join lateral (
       select coalesce(sum(requests - faults), 0) as api_requests, coalesce(sum(compute_ms), 0) as compute_seconds, coalesce(sum(egress_bytes), 0) as egress_bytes,
         coalesce(sum(ingress_bytes), 0) as ingress_bytes, coalesce(sum(messages), 0) as realtime_messages
       from metering.daily_totals d
       where d.tenant_id = i.tenant_id and d.day >= i.month and d.day < i.month + interval '1 month') today
     cross join lateral jsonb_to_record(i.document->'basis'->'totals') as before(api_requests numeric, egress_bytes numeric,
       ingress_bytes numeric, realtime_messages numeric, compute_seconds numeric)
     where i.tenant_id = any($1) and i.month < $2::date and i.month >= $2::date - interval '3 months'
       and i.kind = 'invoice' and i.state <> 'void'
       and (today.api_requests, today.egress_bytes, today.ingress_bytes, today.realtime_messages, today.compute_seconds) is distinct from
         (coalesce(before.api_requests, 0), coalesce(before.egress_bytes, 0), coalesce(before.ingress_bytes, 0),
          coalesce(before.realtime_messages, 0), coalesce(before.compute_seconds, 0))
     order by i.tenant_id, i.month`,
    [tenantIds, `${month.text}-01`],
  )
  return rows.map((row) => ({
    tenantId: row.tenant_id,
    month: row.month,
    basis: row.basis,
    billedMicros: Number(row.billed),
  }))
}

/** Locks a series and gives its last number: whoever else numbers in it waits until this transaction ends. */
export async function lockNumbers(client: Db, series: string): Promise<number> {
  await client.query('insert into metering.invoice_numbers (series, last) values ($1, 0) on conflict do nothing', [
    series,
  ])
  const { rows } = await client.query<{ last: string | number }>(
    'select last from metering.invoice_numbers where series = $1 for update',
    [series],
  )
  return Number(rows[0]?.last ?? 0)
}

export async function saveLastNumber(client: Db, series: string, last: number): Promise<void> {
  await client.query('update metering.invoice_numbers set last = $2 where series = $1', [series, last])
}

/** Of these tenants, those that have a living invoice of the month. */
export async function findBilled(client: Db, tenantIds: readonly string[], month: string): Promise<Set<string>> {
  const { rows } = await client.query<{ tenant_id: string }>(
    `select tenant_id from metering.invoices
     where tenant_id = any($1) and month = $2::date and kind = 'invoice' and state <> 'void'`,
    [tenantIds, `${month}-01`],
  )
  return new Set(rows.map((row) => row.tenant_id))
}

export type NumberedInvoice = {
  document: InvoiceDocument & { basis?: Basis }
  series: string
  number: number
  state: 'issued' | 'paid'
  corrects: string | null
  billed: PreparedInvoice['billed']
}

/** Stores invoices that have their id and number. */
export async function insertInvoices(client: Db, invoices: readonly NumberedInvoice[]): Promise<void> {
  await client.query(
    `insert into metering.invoices (invoice_id, tenant_id, month, kind, series, number, state, currency, total_micros, document,
       corrects, issued_at, paid_at)
     select document->>'invoice_id', document->>'tenant_id', (document->>'month' || '-01')::date, document->>'kind', series,
       number, state, document->>'currency', (document->>'total_micros')::bigint, document, corrects,
       (document->>'issued_at')::timestamptz,
       case when state = 'paid' then (document->>'issued_at')::timestamptz end
     from jsonb_to_recordset($1::jsonb) as r(document jsonb, series text, number bigint, state text, corrects text)`,
    [JSON.stringify(invoices)],
  )
  const billed = invoices.flatMap(({ document, billed: months }) =>
    months.map((one) => ({ invoice_id: document.invoice_id, tenant_id: document.tenant_id, ...one })),
  )
  await client.query(
    `insert into metering.billed_months (invoice_id, tenant_id, month, rated_micros)
     select invoice_id, tenant_id, (month || '-01')::date, rated_micros
     from json_to_recordset($1) as r(invoice_id text, tenant_id text, month text, rated_micros bigint)`,
    [JSON.stringify(billed)],
  )
}

type InvoiceRow = {
  invoice_id: string
  state: StoredInvoice['state']
  document: InvoiceDocument & { basis?: Basis }
  paid_at: Date | null
  voided_at: Date | null
  note: string | null
}

const COLUMNS = 'invoice_id, state, document, paid_at, voided_at, note'

function toInvoice(row: InvoiceRow): StoredInvoice {
  const { basis: _, ...document } = row.document
  const { invoice_id: invoiceId, state, paid_at: paidAt, voided_at: voidedAt, note } = row
  return { invoiceId, state, document, paidAt, voidedAt, note }
}

/** The living invoice of a month. */
export async function findInvoice(db: Db, tenantId: string, month: Month): Promise<StoredInvoice | undefined> {
  const { rows } = await db.query<InvoiceRow>(
    `select ${COLUMNS} from metering.invoices
     where tenant_id = $1 and month = $2::date and kind = 'invoice' and state <> 'void'`,
    [tenantId, `${month.text}-01`],
  )
  return rows[0] === undefined ? undefined : toInvoice(rows[0])
}

/** An invoice or credit note by its id, locked for the transaction. */
export async function lockInvoice(client: Db, invoiceId: string): Promise<StoredInvoice | undefined> {
  const { rows } = await client.query<InvoiceRow>(
    `select ${COLUMNS} from metering.invoices where invoice_id = $1 for update`,
    [invoiceId],
  )
  return rows[0] === undefined ? undefined : toInvoice(rows[0])
}

/** Credit notes of an invoice, oldest first. */
export async function findCreditNotes(db: Db, invoiceId: string): Promise<StoredInvoice[]> {
  const { rows } = await db.query<InvoiceRow>(
    `select ${COLUMNS} from metering.invoices where corrects = $1 and state <> 'void' order by number`,
    [invoiceId],
  )
  return rows.map(toInvoice)
}

/** An invoice or credit note by its id. */
export async function findInvoiceById(db: Db, invoiceId: string): Promise<StoredInvoice | undefined> {
  const { rows } = await db.query<InvoiceRow>(`select ${COLUMNS} from metering.invoices where invoice_id = $1`, [
    invoiceId,
  ])
  return rows[0] === undefined ? undefined : toInvoice(rows[0])
}

/** Which invoices a list shows; what is not set picks none out. */
export type InvoiceFilter = {
  tenantId?: string | undefined
  month?: string | undefined
  state?: string | undefined
  kind?: string | undefined
}

/** Invoices and credit notes, the newest first, from a place in that order on. */
export async function listInvoices(
  pool: PostgresPool,
  filter: InvoiceFilter,
  before: { issuedAt: string; invoiceId: string } | undefined,
  limit: number,
): Promise<StoredInvoice[]> {
  const { rows } = await pool.query<InvoiceRow>(
    `select ${COLUMNS} from metering.invoices
     where ($1::text is null or tenant_id = $1) and ($2::date is null or month = $2) and ($3::text is null or state = $3)
       and ($4::text is null or kind = $4) and ($5::timestamptz is null or (issued_at, invoice_id) < ($5, $6))
     order by issued_at desc, invoice_id desc limit $7`,
    [
      filter.tenantId ?? null,
      filter.month === undefined ? null : `${filter.month}-01`,
      filter.state ?? null,
      filter.kind ?? null,
      before?.issuedAt ?? null,
      before?.invoiceId ?? null,
      limit,
    ],
  )
  return rows.map(toInvoice)
}

/** Moves an issued invoice on. */
export async function setState(client: Db, invoiceId: string, state: 'paid' | 'void', at: Date, note: string | null) {
  await client.query(
    `update metering.invoices set state = $2, note = coalesce($4, note),
       ${state === 'paid' ? 'paid_at' : 'voided_at'} = $3 where invoice_id = $1`,
    [invoiceId, state, at, note],
  )
}
