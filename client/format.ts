const LOCALE = 'en'
const whole = new Intl.NumberFormat(LOCALE)
const compact = new Intl.NumberFormat(LOCALE, { notation: 'compact', maximumFractionDigits: 1 })
const percent = new Intl.NumberFormat(LOCALE, { style: 'percent', maximumFractionDigits: 1 })
const date = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium' })
const dateTime = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'medium' })
const relative = new Intl.RelativeTimeFormat(LOCALE, { numeric: 'auto', style: 'narrow' })

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** Decimal units, as quotas and prices have them (1 MB = 10^6). */
export function formatBytes(bytes: number): string {
  let unit = 0
  let value = bytes
  while (Math.abs(value) >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1_000
    unit++
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${Number(value.toFixed(digits))} ${BYTE_UNITS[unit]}`
}

export function formatCount(count: number): string {
  return whole.format(count)
}

export function formatCompact(count: number): string {
  return Math.abs(count) < 10_000 ? whole.format(count) : compact.format(count)
}

export function formatShare(share: number): string {
  return share > 0 && share < 0.001 ? '< 0.1%' : percent.format(share)
}

/** Millionths of a currency unit as money. */
export function formatMoney(micros: number, currency: string): string {
  const digits = Math.abs(micros) > 0 && Math.abs(micros) < 10_000 ? 4 : 2
  return new Intl.NumberFormat(LOCALE, {
    style: 'currency',
    currency,
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  }).format(micros / 1_000_000)
}

export function formatDate(at: string | number): string {
  return date.format(new Date(at))
}

export function formatDateTime(at: string | number): string {
  return dateTime.format(new Date(at))
}

const day = new Intl.DateTimeFormat(LOCALE, { month: 'short', day: 'numeric', timeZone: 'UTC' })

/** `Nov 27`: the UTC day, where the year is plain. */
export function formatDay(at: string | number): string {
  return day.format(new Date(at))
}

const STEPS = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const

/** `3 hr. ago`, `in 5 days`; the exact time belongs in a tooltip. */
export function formatAgo(at: string | number, nowMs: number = Date.now()): string {
  const seconds = (new Date(at).getTime() - nowMs) / 1_000
  for (const [unit, size] of STEPS)
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit)
  return 'just now'
}

export function formatMonth(month: string): string {
  return new Intl.DateTimeFormat(LOCALE, { month: 'long', year: 'numeric', timeZone: 'UTC' }).format(
    new Date(`${month}-01T00:00:00Z`),
  )
}

/** `4 min 10 s`: how long something lasted. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h ${Math.round((seconds % 3_600) / 60)} min`
  return `${Math.round(seconds / 86_400)} days`
}
