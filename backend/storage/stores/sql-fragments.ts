/** `column` (timestamptz) as Supabase Storage writes times: ISO 8601 in UTC with milliseconds. */
export function isoTime(column: string): string {
  return `to_char(timezone('utc', ${column}), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}

/** Milliseconds since the epoch of a timestamptz. */
export function epochMs(expression: string): string {
  return `floor(extract(epoch from ${expression}) * 1000)::bigint`
}

/** Microseconds since the epoch of a timestamptz: what two changes of one tenant differ in. */
export function epochUs(expression: string): string {
  return `(extract(epoch from ${expression}) * 1000000)::bigint`
}
