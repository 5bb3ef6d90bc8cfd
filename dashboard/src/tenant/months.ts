/** `YYYY-MM` of this month and those before it, in UTC, newest first. */
export function lastMonths(count: number, now: Date = new Date()): string[] {
  return Array.from({ length: count }, (_, back) =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1)).toISOString().slice(0, 7),
  )
}

/** The months from now back to the one that `at` lies in, two years' at most. */
export function monthsSince(at: string, now: Date = new Date()): string[] {
  const first = at.slice(0, 7)
  return lastMonths(24, now).filter((month, i) => i === 0 || month >= first)
}
