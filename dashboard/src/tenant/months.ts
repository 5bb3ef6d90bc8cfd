/** At most so many months are offered to choose from. */
const MOST = 24

/** The UTC months (`YYYY-MM`) from now back to the one that `at` lies in, newest first. */
export function monthsSince(at: string, now: Date = new Date()): string[] {
  const first = at.slice(0, 7)
  const months: string[] = []
  for (let i = 0; i < MOST; i++) {
    const month = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - i)).toISOString().slice(0, 7)
    if (i > 0 && month < first) break
    months.push(month)
  }
  return months
}
