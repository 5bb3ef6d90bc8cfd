/** A stretch of time in whole seconds since the epoch, half-open. A list of them ascends and has no overlaps. */
export type Span = { readonly from: number; readonly until: number }

/** Any spans as a list: empty ones dropped, overlapping and touching ones joined. */
export function joinSpans(spans: readonly Span[]): Span[] {
  const joined: { from: number; until: number }[] = []
  for (const { from, until } of spans.filter((span) => span.until > span.from).sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1)
    if (last !== undefined && from <= last.until) last.until = Math.max(last.until, until)
    else joined.push({ from, until })
  }
  return joined
}

/** What lies in both lists. */
export function intersectSpans(a: readonly Span[], b: readonly Span[]): Span[] {
  const common: Span[] = []
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [left, right] = [a[i], b[j]]
    if (left === undefined || right === undefined) break
    const from = Math.max(left.from, right.from)
    const until = Math.min(left.until, right.until)
    if (from < until) common.push({ from, until })
    if (left.until <= right.until) i++
    else j++
  }
  return common
}

/** What of `spans` lies in none of `without`. */
export function subtractSpans(spans: readonly Span[], without: readonly Span[]): Span[] {
  const left: Span[] = []
  for (const { from, until } of spans) {
    let at = from
    for (const hole of without) {
      if (hole.until <= at) continue
      if (hole.from >= until) break
      if (hole.from > at) left.push({ from: at, until: hole.from })
      at = hole.until
    }
    if (at < until) left.push({ from: at, until })
  }
  return left
}

export function countSeconds(spans: readonly Span[]): number {
  return spans.reduce((sum, { from, until }) => sum + until - from, 0)
}
