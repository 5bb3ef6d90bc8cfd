import { InvalidArgumentError } from '@commander-js/extra-typings'

const BYTES: Readonly<Record<string, number>> = { B: 1, kB: 1e3, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, PB: 1e15 }
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }

/** A whole number from 0 up. */
export function readCount(text: string): number {
  return readWhole(text, { '': 1 }, 'a whole number')
}

/** A whole number from 1 up. */
export function readPositive(text: string): number {
  const count = readCount(text)
  if (count < 1) throw new InvalidArgumentError('It must be at least 1.')
  return count
}

/** Bytes, with decimal units as quotas have them: `500MB`, `1.5GB`, `1000`. */
export function readBytes(text: string): number {
  return readWhole(text, { '': 1, ...BYTES }, 'an amount of bytes such as 500MB or 1000')
}

/** Money in millionths of the currency unit: `12.50`, `0.000125`. */
export function readMoney(text: string): number {
  return readWhole(text, { '': 1_000_000 }, 'an amount of money such as 12.50')
}

/** Seconds, also as `90s`, `15m`, `24h`, `7d`. */
export function readSeconds(text: string): number {
  return readWhole(text, { '': 1, ...SECONDS }, 'a time such as 90s, 15m, 24h or 7d')
}

/** `YYYY-MM`. */
export function readMonth(text: string): string {
  if (!/^\d{4}-(?:0[1-9]|1[0-2])$/.test(text)) throw new InvalidArgumentError('It must be a month: YYYY-MM.')
  return text
}

const QUOTAS = {
  storage_bytes: readBytes,
  api_requests_per_month: readCount,
  file_storage_bytes: readBytes,
  realtime_connections: readCount,
  requests_per_second: readPositive,
} as const
export type QuotaPatch = Partial<Record<keyof typeof QUOTAS, number | null>>

/** `<quota>=<amount>`, once or several times; `plan` brings the plan's own value back. */
export function readQuota(text: string, before: QuotaPatch = {}): QuotaPatch {
  const [name = '', amount] = text.split(/=(.*)/s)
  if (!isQuota(name) || amount === undefined || amount === '')
    throw new InvalidArgumentError(`It must be <quota>=<amount> with one of ${Object.keys(QUOTAS).join(', ')}.`)
  return { ...before, [name]: amount === 'plan' ? null : QUOTAS[name](amount) }
}

function isQuota(name: string): name is keyof typeof QUOTAS {
  return Object.hasOwn(QUOTAS, name)
}

function readWhole(text: string, units: Readonly<Record<string, number>>, rule: string): number {
  const [, digits, fraction = '', unit = ''] = /^(\d{1,16})(?:\.(\d{1,6}))?\s?([A-Za-z]*)$/.exec(text) ?? []
  const size = Object.hasOwn(units, unit) ? units[unit] : undefined
  const scale = 10 ** fraction.length
  const value = digits === undefined || size === undefined ? Number.NaN : (Number(digits + fraction) * size) / scale
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError(`It must be ${rule}.`)
  return value
}
