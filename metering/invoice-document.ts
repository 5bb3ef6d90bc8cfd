import { z } from 'zod'
import { type Customer, customerSchema } from './customer.ts'
import { minorUnitMicros, type RatedLine } from './rating.ts'

/** Who sends invoices: `AERODB_INVOICE_SELLER` names a JSON file with these fields. */
export const sellerSchema = customerSchema.extend({
  website: z.string().max(200).nullable().default(null),
  /** Days until an invoice is due. */
  payment_days: z.number().int().min(0).max(365).default(14),
  payment_note: z.string().max(500).nullable().default(null),
})
export type Seller = z.output<typeof sellerSchema>

export const DEFAULT_SELLER: Seller = sellerSchema.parse({ name: 'AeroDB Managed Hosting' })

export type InvoiceState = 'draft' | 'issued' | 'paid' | 'void'

/** Usage of an earlier month that came after its invoice, or a sum given back: by a credit note, or by a credit of the tenant. */
export type PlainLine = {
  kind: 'adjustment' | 'credit'
  description: string
  /** `adjustment`: the month whose usage came late. */
  month?: string
  /** `credit` on an invoice: which of the tenant's credits. */
  key?: string
  amount_micros: number
}
export type InvoiceLine = RatedLine | PlainLine

export type TaxLine = { description: string; rate: number; amount_micros: number }

/** The hook for taxes: what is owed on top of `subtotal_micros`, in whole minor units. */
export type TaxHook = (invoice: {
  tenantId: string
  customer: Customer | null
  currency: string
  subtotal_micros: number
}) => TaxLine[]

export const noTax: TaxHook = () => []

/** What was invoiced, as it is shown and kept. Money in micro-units; `total` in words of the currency (`12.34`). */
export type InvoiceDocument = {
  invoice_id: string | null
  kind: 'invoice' | 'credit_note'
  number: string | null
  tenant_id: string
  tenant_name: string
  month: string
  period: { start: string; end: string }
  currency: string
  seller: Seller
  customer: Customer | null
  issued_at: string | null
  due_at: string | null
  /** The number of the invoice that a credit note corrects. */
  corrects: string | null
  lines: InvoiceLine[]
  subtotal_micros: number
  tax_lines: TaxLine[]
  tax_micros: number
  total_micros: number
  total: string
}

/** Adds up lines and taxes. The total is the sum of the lines and the tax lines, to the micro. */
export function totalInvoice(
  invoice: Omit<InvoiceDocument, 'subtotal_micros' | 'tax_lines' | 'tax_micros' | 'total_micros' | 'total'>,
  tax: TaxHook,
): InvoiceDocument {
  const { currency, customer } = invoice
  const subtotal = invoice.lines.reduce((sum, line) => sum + line.amount_micros, 0)
  const taxLines = tax({ tenantId: invoice.tenant_id, customer, currency, subtotal_micros: subtotal })
  const taxTotal = taxLines.reduce((sum, line) => sum + line.amount_micros, 0)
  return {
    ...invoice,
    subtotal_micros: subtotal,
    tax_lines: taxLines,
    tax_micros: taxTotal,
    total_micros: subtotal + taxTotal,
    total: formatAmount(subtotal + taxTotal, currency),
  }
}

/** The invoice with further lines; taxes and totals are made anew. */
export function addLines(invoice: InvoiceDocument, lines: readonly InvoiceLine[], tax: TaxHook): InvoiceDocument {
  return lines.length === 0 ? invoice : totalInvoice({ ...invoice, lines: [...invoice.lines, ...lines] }, tax)
}

/** `1234.50`: whole minor units of the currency, a point, no grouping. */
export function formatAmount(micros: number, currency: string): string {
  const digits = 6 - Math.round(Math.log10(minorUnitMicros(currency)))
  const sign = micros < 0 ? '-' : ''
  const minor = Math.round(Math.abs(micros) / minorUnitMicros(currency))
  const text = String(minor).padStart(digits + 1, '0')
  return digits === 0 ? `${sign}${text}` : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`
}

/** `0.0025`: a price exactly, without the zeros that say nothing, but never less than the minor unit's digits. */
export function formatPrice(micros: number, currency: string): string {
  const digits = 6 - Math.round(Math.log10(minorUnitMicros(currency)))
  const [whole = '0', fraction = ''] = (micros / 1_000_000).toFixed(6).split('.')
  const kept = fraction.replace(/0+$/, '').padEnd(digits, '0')
  return kept === '' ? whole : `${whole}.${kept}`
}
