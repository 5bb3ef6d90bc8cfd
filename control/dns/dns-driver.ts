import { isIP } from 'node:net'

/** The types that we write. Sets of any other type are never read, compared or touched. */
export const RECORD_TYPES = ['A', 'AAAA', 'CNAME', 'TXT'] as const
export type RecordType = (typeof RECORD_TYPES)[number]

/** All records of one name and type. Names are in lower case without the final dot; TXT values without quotes. */
export type RecordSet = {
  name: string
  type: RecordType
  ttlSeconds: number
  values: readonly string[]
  /** Set by a driver when something that only its provider knows is not as configured (Cloudflare's proxy switch). */
  needsRewrite?: true
}

/** One set's change: `before` is what was seen (nothing: it was not there), `after` what is to be (nothing: removed). */
export type RecordChange = { before?: RecordSet; after?: RecordSet }

/**
 * A provider of DNS, as little of it as we need: who owns what and what has to change is decided above (`plan-changes.ts`).
 * Every method may throw a `DnsFault`, and is safe to repeat.
 */
export type DnsDriver = {
  readonly name: string
  /** How many changes one `apply` may hold. */
  readonly maxChanges: number
  /** Every set of the zone. */
  list(): Promise<RecordSet[]>
  /** The sets at these names; what a wildcard makes up does not count. */
  read(names: readonly string[]): Promise<RecordSet[]>
  /** Carries out all changes or, where the provider has transactions, none. */
  apply(changes: readonly RecordChange[]): Promise<void>
}

export type DnsFaultCode = 'dns_unreachable' | 'dns_refused' | 'dns_conflict' | 'dns_rate_limited' | 'dns_bad_answer'

/** What went wrong with a provider. The message holds no credential. */
export class DnsFault extends Error {
  readonly code: DnsFaultCode
  /** How long the provider wants to be left alone, where it said so. */
  readonly retryAfterMs: number | undefined

  constructor(code: DnsFaultCode, message: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'DnsFault'
    this.code = code
    this.retryAfterMs = options.retryAfterMs
  }
}

/** A name as we compare it: lower case, no final dot. */
export function normaliseName(name: string): string {
  const lower = name.toLowerCase()
  return lower.endsWith('.') ? lower.slice(0, -1) : lower
}

/** A value as we compare it: addresses in their canonical text (RFC 5952), names normalised, text without quotes. */
export function normaliseValue(type: RecordType, value: string): string {
  if (type === 'CNAME') return normaliseName(value)
  if (type === 'TXT') return unquoteText(value)
  if (type === 'AAAA' && isIP(value) === 6) return new URL(`http://[${value}]/`).hostname.slice(1, -1)
  return value
}

/** TXT in presentation form (RFC 1035, section 5.1): each character-string in quotes, `"` and `\` escaped. */
export function quoteText(text: string): string {
  const parts = text.match(/.{1,255}/gs) ?? ['']
  return parts.map((part) => `"${part.replaceAll(/["\\]/g, (character) => `\\${character}`)}"`).join(' ')
}

/** The text of a TXT value in presentation form; a value without quotes is taken as it is. */
export function unquoteText(value: string): string {
  if (!value.startsWith('"')) return value
  return [...value.matchAll(/"((?:[^"\\]|\\.)*)"/gs)]
    .map((match) =>
      (match[1] ?? '').replaceAll(/\\(\d{3}|.)/gs, (_, escaped: string) =>
        escaped.length === 3 ? String.fromCharCode(Number(escaped)) : escaped,
      ),
    )
    .join('')
}

/** True for one of the four types that we deal with. */
export function isRecordType(type: string): type is RecordType {
  return (RECORD_TYPES as readonly string[]).includes(type)
}
