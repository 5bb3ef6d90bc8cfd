import PDFDocument from 'pdfkit'
import { formatAmount, formatPrice, type InvoiceLine } from './invoice-document.ts'
import type { InvoiceView } from './invoice-view.ts'
import { TextPainter, type TextStyle } from './pdf-text.ts'
import { readablePer, readableQuantity } from './readable-quantity.ts'

const PAGE = { width: 595.28, height: 841.89, left: 48, right: 547, top: 48, bottom: 770 }
const ACCENT = '#0b5fff'
const GREY = '#667085'
const RULE = '#d0d5dd'
const body: TextStyle = { size: 9 }
const small: TextStyle = { size: 8, color: GREY }
const right = (style: TextStyle): TextStyle => ({ ...style, align: 'right' })

/** The columns of the table of lines: where they begin and how wide they are. */
const COLUMNS = {
  description: { x: PAGE.left, width: 210 },
  quantity: { x: 262, width: 105 },
  price: { x: 371, width: 96 },
  amount: { x: 471, width: 76 },
}

/** Sets an invoice, a draft or a credit note as PDF (A4): logo, addresses, lines, totals, page numbers; in any language. */
export async function renderInvoicePdf(view: InvoiceView): Promise<Buffer> {
  const doc = new PDFDocument({
    size: 'A4',
    margin: 0,
    bufferPages: true,
    lang: 'en',
    info: { Title: `${titleOf(view)} ${view.number ?? view.month}`, Author: view.seller.name },
  })
  const chunks: Buffer[] = []
  const finished = new Promise<void>((resolve, reject) => {
    doc.on('data', (chunk: Buffer) => chunks.push(chunk))
    doc.once('end', resolve)
    doc.once('error', reject)
  })
  new InvoicePage(doc, view).set()
  doc.end()
  await finished
  return Buffer.concat(chunks)
}

class InvoicePage {
  readonly #doc: PDFKit.PDFDocument
  readonly #view: InvoiceView
  readonly #text: TextPainter
  #y = PAGE.top

  constructor(doc: PDFKit.PDFDocument, view: InvoiceView) {
    this.#doc = doc
    this.#view = view
    this.#text = new TextPainter(doc)
  }

  set(): void {
    this.#setHead()
    this.#setParties()
    this.#setTableHead()
    for (const line of this.#view.lines) this.#setLine(line)
    if (this.#view.lines.length === 0) this.#setRow('Nothing was used that costs anything.', '', '', '')
    this.#setTotals()
    this.#setNotes()
    this.#setFoot()
  }

  #setHead(): void {
    const { seller } = this.#view
    drawLogo(this.#doc, PAGE.left, this.#y)
    this.#text.draw(seller.name, PAGE.left + 40, this.#y + 4, 250, { size: 15, weight: 'bold' })
    this.#text.draw(
      titleOf(this.#view),
      320,
      this.#y,
      PAGE.right - 320,
      right({ size: 18, weight: 'bold', color: ACCENT }),
    )
    let y = this.#y + 30
    for (const [name, value] of this.#facts()) {
      this.#text.draw(name, 330, y, 90, right(small))
      this.#text.draw(value, 425, y - 1, PAGE.right - 425, right(body))
      y += 13
    }
    this.#y = Math.max(y, this.#y + 60) + 12
  }

  #facts(): [string, string][] {
    const { number, issued_at, due_at, corrects, state, period, kind, tenant_name } = this.#view
    const last = new Date(Date.parse(period.end) - 1).toISOString()
    const facts: [string, string | null][] = [
      ['Number', number ?? 'draft'],
      ['Corrects', corrects],
      ['Date', issued_at?.slice(0, 10) ?? null],
      ['Due', kind === 'invoice' && state === 'issued' ? (due_at?.slice(0, 10) ?? null) : null],
      ['Period (UTC)', `${period.start.slice(0, 10)} to ${last.slice(0, 10)}`],
      ['Tenant', tenant_name],
      ['State', kind === 'invoice' ? state : null],
    ]
    return facts.flatMap(([name, value]) => (value === null ? [] : [[name, value]]))
  }

  #setParties(): void {
    const { seller, customer, tenant_name, tenant_id } = this.#view
    const from = [seller.name, ...seller.address, taxId(seller.tax_id), seller.email, seller.website]
    const to = customer ?? { name: tenant_name, address: [tenant_id], email: null, tax_id: null }
    const bill = [to.name, ...to.address, taxId(to.tax_id), to.email]
    const width = 230
    const heights = [
      this.#setAddress('From', from, PAGE.left, width),
      this.#setAddress('Bill to', bill, PAGE.left + 265, width),
    ]
    this.#y += Math.max(...heights) + 18
  }

  #setAddress(title: string, lines: readonly (string | null)[], x: number, width: number): number {
    let y = this.#y + this.#text.draw(title, x, this.#y, width, small) + 2
    for (const [i, line] of lines.entries())
      if (line !== null && line !== '')
        y += this.#text.draw(line, x, y, width, i === 0 ? { ...body, weight: 'bold' } : body)
    return y - this.#y
  }

  #setTableHead(): void {
    const { description, quantity, price, amount } = COLUMNS
    this.#text.draw('Description', description.x, this.#y, description.width, small)
    this.#text.draw('Quantity', quantity.x, this.#y, quantity.width, right(small))
    this.#text.draw('Price', price.x, this.#y, price.width, right(small))
    this.#text.draw(`Amount (${this.#view.currency})`, amount.x, this.#y, amount.width, right(small))
    this.#y += 14
    this.#rule(PAGE.left, this.#y, 1)
    this.#y += 6
  }

  #setLine(line: InvoiceLine): void {
    const { currency } = this.#view
    const amount = formatAmount(line.amount_micros, currency)
    if (!('quantity' in line)) {
      this.#setRow(line.description, '', '', amount)
    } else if (line.kind === 'meter') {
      const included = line.included ? `${readableQuantity(line.included, line.unit)} included` : ''
      const price = `${formatPrice(line.unit_price_micros, currency)} per ${readablePer(line.per ?? 1, line.unit)}`
      this.#setRow(line.description, readableQuantity(line.quantity, line.unit), price, amount, included)
    } else {
      const days = `${(line.quantity / 86_400).toLocaleString('en', { maximumFractionDigits: 2 })} days`
      this.#setRow(line.description, days, `${formatPrice(line.unit_price_micros, currency)} a month`, amount)
    }
  }

  #setRow(description: string, quantity: string, price: string, amount: string, note = ''): void {
    const columns = COLUMNS
    const height = Math.max(
      this.#text.heightOf(description, columns.description.width, body) +
        (note === '' ? 0 : this.#text.heightOf(note, columns.description.width, small)),
      this.#text.heightOf(quantity, columns.quantity.width, body),
      this.#text.heightOf(price, columns.price.width, body),
    )
    this.#makeRoom(height + 8, true)
    const taken = this.#text.draw(description, columns.description.x, this.#y, columns.description.width, body)
    if (note !== '') this.#text.draw(note, columns.description.x, this.#y + taken, columns.description.width, small)
    this.#text.draw(quantity, columns.quantity.x, this.#y, columns.quantity.width, right(body))
    this.#text.draw(price, columns.price.x, this.#y, columns.price.width, right(body))
    this.#text.draw(amount, columns.amount.x, this.#y, columns.amount.width, right(body))
    this.#y += height + 4
    this.#rule(PAGE.left, this.#y, 0.3)
    this.#y += 4
  }

  #setTotals(): void {
    const { subtotal_micros, tax_lines, total_micros, currency, kind, state } = this.#view
    const rows: [string, number][] = tax_lines.length === 0 ? [] : [['Subtotal', subtotal_micros]]
    for (const tax of tax_lines) rows.push([tax.description, tax.amount_micros])
    this.#makeRoom(rows.length * 14 + 40, false)
    this.#y += 8
    for (const [name, micros] of rows) {
      this.#text.draw(name, 300, this.#y, 160, right(body))
      this.#text.draw(formatAmount(micros, currency), COLUMNS.amount.x, this.#y, COLUMNS.amount.width, right(body))
      this.#y += 14
    }
    this.#rule(300, this.#y, 1)
    this.#y += 7
    const total: TextStyle = { size: 12, weight: 'bold' }
    const name =
      kind === 'credit_note'
        ? 'Credited'
        : state === 'paid'
          ? 'Total (paid)'
          : state === 'draft'
            ? 'Total so far'
            : 'Total due'
    this.#text.draw(name, 250, this.#y, 160, right(total))
    this.#text.draw(`${currency} ${formatAmount(total_micros, currency)}`, 415, this.#y, PAGE.right - 415, right(total))
    this.#y += 30
  }

  #setNotes(): void {
    const { seller, state, credit_notes, currency } = this.#view
    const notes = credit_notes.map(
      (credit) =>
        `Credit note ${credit.number ?? ''} of ${credit.issued_at?.slice(0, 10) ?? ''}: ${currency} ${credit.total}`,
    )
    if (state === 'void') notes.push('This invoice is void: nothing is owed for it.')
    if (state === 'draft') notes.push('This is a draft: the month is not closed, and figures change with use.')
    if (state === 'issued' && seller.payment_note !== null) notes.push(seller.payment_note)
    for (const note of notes) {
      this.#makeRoom(this.#text.heightOf(note, PAGE.right - PAGE.left, small), false)
      this.#y += this.#text.draw(note, PAGE.left, this.#y, PAGE.right - PAGE.left, small) + 3
    }
  }

  /** Page numbers can only be set once the number of pages is known. */
  #setFoot(): void {
    const { start, count } = this.#doc.bufferedPageRange()
    const { number, seller } = this.#view
    const y = PAGE.height - 46
    for (let page = 0; page < count; page++) {
      this.#doc.switchToPage(start + page)
      this.#rule(PAGE.left, y - 6, 0.3)
      this.#text.draw([seller.name, number].filter((part) => part !== null).join(' · '), PAGE.left, y, 380, small)
      this.#text.draw(`Page ${page + 1} of ${count}`, PAGE.right - 100, y, 100, right(small))
    }
  }

  #makeRoom(height: number, inTable: boolean): void {
    if (this.#y + height <= PAGE.bottom) return
    this.#doc.addPage()
    this.#y = PAGE.top
    if (inTable) this.#setTableHead()
  }

  #rule(x: number, y: number, width: number): void {
    this.#doc.moveTo(x, y).lineTo(PAGE.right, y).lineWidth(width).strokeColor(RULE).stroke()
  }
}

/** Three rising wings in a rounded square. */
function drawLogo(doc: PDFKit.PDFDocument, x: number, y: number): void {
  doc.roundedRect(x, y, 30, 30, 7).fill(ACCENT)
  for (const [i, opacity] of [1, 0.75, 0.5].entries()) {
    const top = y + 6 + i * 6
    doc.save().fillOpacity(opacity)
    doc
      .moveTo(x + 15, top)
      .lineTo(x + 24, top + 9)
      .lineTo(x + 15, top + 5.5)
      .lineTo(x + 6, top + 9)
      .fill('#ffffff')
    doc.restore()
  }
}

function titleOf({ kind, state }: InvoiceView): string {
  if (kind === 'credit_note') return 'Credit note'
  return state === 'draft' ? 'Draft invoice' : state === 'void' ? 'Invoice (void)' : 'Invoice'
}

function taxId(id: string | null): string | null {
  return id === null ? null : `Tax id ${id}`
}
