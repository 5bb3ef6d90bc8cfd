import type { UsagePoint } from '../api/usage.ts'

const DAY_MS = 86_400_000
/** Growth is taken from the last so many days. */
const GROWTH_DAYS = 7
/** Beyond this it is anybody's guess. */
const MAX_DAYS = 365

/**
 * When a month's allowance will be used up if it goes on as it went since the month began; `undefined` when that is not before
 * the month's end, or not to be told yet.
 * @param points the days of the month so far.
 */
export function monthlyRunOut(points: readonly UsagePoint[], limit: number, nowMs: number): Date | undefined {
  const [first] = points
  if (first === undefined) return undefined
  const start = new Date(first.at)
  const used = points.reduce((sum, { value }) => sum + value, 0)
  const elapsedMs = nowMs - start.getTime()
  if (used === 0 || used >= limit || elapsedMs < DAY_MS / 4) return undefined
  const atMs = nowMs + ((limit - used) / used) * elapsedMs
  const monthEndMs = Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1, 1)
  return atMs < monthEndMs ? new Date(atMs) : undefined
}

/** When what is stored will reach its limit if it goes on growing as it did in the last week. */
export function storageRunOut(points: readonly UsagePoint[], limit: number, nowMs: number): Date | undefined {
  const recent = points.slice(-GROWTH_DAYS - 1)
  const [first, last] = [recent[0], recent.at(-1)]
  if (first === undefined || last === undefined || recent.length < 3 || last.value >= limit) return undefined
  const growthPerDay = (last.value - first.value) / (recent.length - 1)
  if (growthPerDay <= 0) return undefined
  const days = (limit - last.value) / growthPerDay
  return days > MAX_DAYS ? undefined : new Date(nowMs + days * DAY_MS)
}
