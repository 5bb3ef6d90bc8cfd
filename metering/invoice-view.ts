import type { InvoiceDocument, InvoiceState } from './invoice-document.ts'
import { formatAmount, formatPrice } from './invoice-document.ts'
import type { StoredInvoice } from './invoice-store.ts'

/** An invoice as the API shows it: the document with its state, and the credit notes that correct it. */
export type InvoiceView = InvoiceDocument & {
  state: InvoiceState
  paid_at: string | null
  voided_at: string | null
  note: string | null
  credit_notes: {
    invoice_id: string
    number: string | null
    total: string
    total_micros: number
    issued_at: string | null
  }[]
}

/** The view of a draft: it has no number, and its figures are those of this moment. */
export function viewDraft(document: InvoiceDocument): InvoiceView {
  return { ...document, state: 'draft', paid_at: null, voided_at: null, note: null, credit_notes: [] }
}

export function viewInvoice(invoice: StoredInvoice, creditNotes: readonly StoredInvoice[] = []): InvoiceView {
  return {
    ...invoice.document,
    state: invoice.state,
    paid_at: invoice.paidAt?.toISOString() ?? null,
    voided_at: invoice.voidedAt?.toISOString() ?? null,
    note: invoice.note,
    credit_notes: creditNotes.map(({ invoiceId, document }) => ({
      invoice_id: invoiceId,
      number: document.number,
      total: document.total,
      total_micros: document.total_micros,
      issued_at: document.issued_at,
    })),
  }
}

/** What a list shows of an invoice. */
export function summarise(view: InvoiceView) {
  const { invoice_id, kind, number, tenant_id, month, period, state, currency, total, total_micros } = view
  const { issued_at, due_at, paid_at, voided_at, corrects } = view
  return {
    ...{ invoice_id, kind, number, corrects, tenant_id, month, period, state, currency, total, total_micros },
    ...{ issued_at, due_at, paid_at, voided_at },
  }
}

const CSV_COLUMNS = [
  ...['number', 'kind', 'state', 'tenant_id', 'tenant_name', 'customer', 'month', 'period_start', 'period_end'],
  ...['issued_at', 'due_at', 'line', 'line_kind', 'plan', 'meter', 'description', 'quantity', 'unit', 'included'],
  ...['billed_units', 'units_of', 'unit_price', 'amount', 'currency', 'invoice_total'],
]

/**
 * The invoice as CSV (RFC 4180, UTF-8 with a byte order mark, so that spreadsheets read every language): one row a line, taxes
 * included, the invoice's own fields repeated in each. A text that a spreadsheet would run as a formula is made plain text.
 */
export function toCsv(view: InvoiceView): string {
  const { currency } = view
  const head = [
    ...[text(view.number ?? ''), text(view.kind), text(view.state), text(view.tenant_id), text(view.tenant_name)],
    ...[text(view.customer?.name ?? ''), text(view.month), text(view.period.start), text(view.period.end)],
    ...[text(view.issued_at ?? ''), text(view.due_at ?? '')],
  ]
  const tail = (micros: number) => [formatAmount(micros, currency), text(currency), view.total]
  const rows = view.lines.map((line, i) => [
    ...head,
    ...[
      String(i + 1),
      text(line.kind),
      text('plan' in line ? line.plan : ''),
      text(('meter' in line && line.meter) || ''),
    ],
    text(line.description),
    ...('quantity' in line
      ? [
          ...[String(line.quantity), text(line.unit), String(line.included ?? ''), String(line.billed_units ?? '')],
          ...[String(line.per ?? ''), formatPrice(line.unit_price_micros, currency)],
        ]
      : ['', '', '', '', '', '']),
    ...tail(line.amount_micros),
  ])
  const taxes = view.tax_lines.map((tax, i) => [
    ...[...head, String(view.lines.length + i + 1), 'tax', '', '', text(tax.description)],
    ...['', '', '', '', '', '', ...tail(tax.amount_micros)],
  ])
  return `\ufeff${[CSV_COLUMNS, ...rows, ...taxes].map((row) => row.join(',')).join('\r\n')}\r\n`
}

/** One text cell. OWASP "CSV injection": `= + - @`, tab and return at the start (also behind blanks) begin a formula. */
export function text(value: string): string {
  const plain = /^[\s'"]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain
}
