import type Stripe from 'stripe'
import { INVOICE_METADATA, StripeMismatchError, toMinorUnits } from './stripe-invoice.ts'
import type { Claimed } from './stripe-store.ts'

/**
 * Brings a credit note to the invoice that it corrects: one that is still open owes less, and what was paid already goes to the
 * customer's balance, from which Stripe takes it off the next invoice. Done again it finds the note by our id.
 * @returns Stripe's id of the note.
 */
export async function bringCreditNote(stripe: Stripe, claimed: Claimed): Promise<string> {
  const { document, invoiceId, correctedStripeId, attempts } = claimed
  if (correctedStripeId === null) throw new StripeMismatchError('Stripe does not have the invoice of this credit note')
  const amount = toMinorUnits(-document.total_micros, document.currency)
  const note =
    (attempts > 1 ? await findCreditNote(stripe, correctedStripeId, invoiceId) : undefined) ??
    (await stripe.creditNotes.create(
      {
        invoice: correctedStripeId,
        lines: document.lines.map((line) => ({
          type: 'custom_line_item',
          description: line.description,
          quantity: 1,
          unit_amount: toMinorUnits(-line.amount_micros, document.currency),
        })),
        ...((await stripe.invoices.retrieve(correctedStripeId)).status === 'paid' ? { credit_amount: amount } : {}),
        memo: document.number ?? invoiceId,
        metadata: { [INVOICE_METADATA]: invoiceId },
      },
      { idempotencyKey: `aerodb-credit-${invoiceId}` },
    ))
  if (note.total !== amount)
    throw new StripeMismatchError(`Stripe's credit note ${note.id} is over ${note.total}, ours over ${amount}`)
  return note.id
}

async function findCreditNote(
  stripe: Stripe,
  invoice: string,
  invoiceId: string,
): Promise<Stripe.CreditNote | undefined> {
  for await (const note of stripe.creditNotes.list({ invoice, limit: 100 }))
    if (note.metadata?.[INVOICE_METADATA] === invoiceId) return note
  return undefined
}
