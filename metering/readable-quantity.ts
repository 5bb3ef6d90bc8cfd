/** How many of a meter's units make one that people read, and what that is called. */
const READABLE: Readonly<Record<string, { units: number; name: string }>> = {
  bytes: { units: 1e9, name: 'GB' },
  'byte-hours': { units: 1e9, name: 'GB-hours' },
  seconds: { units: 3_600, name: 'hours' },
}

/**
 * A quantity of a line as people read it: `64 GB`, `11,520 GB-hours`, `190 hours`, `812,345 requests`. To a thousandth; what is less
 * than that is shown in its own units, so that nothing reads as 0 that is not. The exact figure is in the invoice's JSON and CSV.
 */
export function readableQuantity(quantity: number, unit: string): string {
  const readable = READABLE[unit]
  if (readable === undefined || (quantity > 0 && quantity < readable.units / 1_000))
    return `${grouped(quantity)} ${unit}`
  const amount = quantity / readable.units
  return `${grouped(amount)} ${amount === 1 ? readable.name.replace(/s$/, '') : readable.name}`
}

/** What a price is for: `1,000`, `1 GB`, `730 GB-hours`. */
export function readablePer(per: number, unit: string): string {
  return READABLE[unit] === undefined ? grouped(per) : readableQuantity(per, unit)
}

function grouped(amount: number): string {
  return amount.toLocaleString('en', { maximumFractionDigits: 3 })
}
