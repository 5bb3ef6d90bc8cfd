/** What a conditional request compares with. `etag` is strong and quoted. */
export type Validators = { etag: string; modifiedAtMs: number }

type Fields = Readonly<Record<string, string | string[] | undefined>>

/**
 * Decides a conditional GET or HEAD in the order of RFC 9110, section 13.2.2: `'failed'` is 412, `'unchanged'` is 304.
 * Dates have a resolution of one second.
 */
export function evaluatePreconditions(fields: Fields, validators: Validators): 'proceed' | 'unchanged' | 'failed' {
  const modifiedSecond = Math.floor(validators.modifiedAtMs / 1_000)
  const ifMatch = text(fields['if-match'])
  if (ifMatch !== undefined) {
    if (!lists(ifMatch, validators.etag, 'strong')) return 'failed'
  } else {
    const unmodifiedSince = dateSecond(text(fields['if-unmodified-since']))
    if (unmodifiedSince !== undefined && modifiedSecond > unmodifiedSince) return 'failed'
  }
  const ifNoneMatch = text(fields['if-none-match'])
  if (ifNoneMatch !== undefined) return lists(ifNoneMatch, validators.etag, 'weak') ? 'unchanged' : 'proceed'
  const modifiedSince = dateSecond(text(fields['if-modified-since']))
  return modifiedSince !== undefined && modifiedSecond <= modifiedSince ? 'unchanged' : 'proceed'
}

/** Whether a Range field counts: without If-Range always, with it only while its validator matches (section 13.1.5). */
export function rangeApplies(fields: Fields, validators: Validators): boolean {
  const ifRange = text(fields['if-range'])
  if (ifRange === undefined) return true
  if (ifRange.startsWith('"')) return ifRange === validators.etag
  return dateSecond(ifRange) === Math.floor(validators.modifiedAtMs / 1_000)
}

function lists(field: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (field.trim() === '*') return true
  return field
    .split(',')
    .map((tag) => tag.trim())
    .some((tag) => tag === etag || (comparison === 'weak' && tag === `W/${etag}`))
}

function dateSecond(field: string | undefined): number | undefined {
  const ms = field === undefined ? Number.NaN : Date.parse(field)
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1_000)
}

function text(field: string | string[] | undefined): string | undefined {
  return Array.isArray(field) ? field.join(', ') : field
}
