import { minorUnitMicros } from '../rating.ts'

/** Names our invoice or credit note on what we make in Stripe: the link that outlives Stripe's 24 hours of idempotency keys. */
export const INVOICE_METADATA = 'aerodb_invoice_id'

/** What Stripe has is not what we have: nothing is sent to the customer, and a human looks. */
export class StripeMismatchError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'StripeMismatchError'
  }
}

/** Micro-units as Stripe counts: in whole minor units of the currency. */
export function toMinorUnits(micros: number, currency: string): number {
  return Math.round(micros / minorUnitMicros(currency))
}
