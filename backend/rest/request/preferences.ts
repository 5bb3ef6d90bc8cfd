import { RestError } from '../rest-error.ts'

export type Preferences = {
  return?: 'minimal' | 'headers-only' | 'representation'
  count?: 'exact' | 'planned' | 'estimated'
  resolution?: 'merge-duplicates' | 'ignore-duplicates'
  missing?: 'default' | 'null'
  /** How the transaction ends; only where that is allowed. */
  tx?: 'commit' | 'rollback'
  handling?: 'strict' | 'lenient'
  maxAffected?: number
}

const VALUES: Readonly<Record<string, readonly string[]>> = {
  return: ['minimal', 'headers-only', 'representation'],
  count: ['exact', 'planned', 'estimated'],
  resolution: ['merge-duplicates', 'ignore-duplicates'],
  missing: ['default', 'null'],
  tx: ['commit', 'rollback'],
  handling: ['strict', 'lenient'],
}
const NONE: Preferences = {}

/** Reads `Prefer` (RFC 7240); `tx` is passed over unless it is allowed, as PostgREST does. @throws RestError PGRST122 when handling is strict and a preference is not known. */
export function parsePreferences(header: string | undefined, allowsTx: boolean): Preferences {
  if (header === undefined) return NONE
  const found: Record<string, string | number> = {}
  const unknown: string[] = []
  for (const part of header.split(',')) {
    const preference = part.trim()
    if (preference === '') continue
    const [name = '', value = ''] = preference.split('=').map((text) => text.trim())
    if (name === 'max-affected' && /^\d{1,9}$/.test(value)) found.maxAffected ??= Number(value)
    // Ours, and no matter of the grammar's: `backend/postgres/replica-reads.ts`.
    else if (preference === 'read-replica') continue
    else if (Object.hasOwn(VALUES, name) && VALUES[name]?.includes(value) === true) found[name] ??= value
    else unknown.push(preference)
  }
  if (!allowsTx) delete found.tx
  const preferences = found as Preferences
  if (preferences.handling === 'strict' && unknown.length > 0)
    throw new RestError(400, 'PGRST122', 'Invalid preferences given with handling=strict', {
      details: `Invalid preferences: ${unknown.join(', ')}`,
    })
  return preferences
}

/** `Preference-Applied`: those of `applied` that were asked for, in PostgREST's order. */
export function appliedPreferences(
  preferences: Preferences,
  applied: readonly ('resolution' | 'missing' | 'return' | 'count' | 'tx' | 'handling' | 'maxAffected')[],
): string | undefined {
  const parts: string[] = []
  for (const name of ['resolution', 'missing', 'return', 'count', 'tx', 'handling', 'maxAffected'] as const) {
    const value = preferences[name]
    if (value === undefined || !applied.includes(name)) continue
    if (name === 'maxAffected') {
      if (preferences.handling === 'strict') parts.push(`max-affected=${value}`)
    } else parts.push(`${name}=${value}`)
  }
  return parts.length === 0 ? undefined : parts.join(', ')
}
