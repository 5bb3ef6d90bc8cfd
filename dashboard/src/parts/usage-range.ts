import type { UsageRange } from '../api/usage.ts'

const DAY_MS = 86_400_000

/** Ranges that one chooses from; months are those of UTC, as bills have them. */
export const RANGES = [
  { value: '7', label: 'Last 7 days' },
  { value: '30', label: 'Last 30 days' },
  { value: 'month', label: 'This month' },
  { value: 'last-month', label: 'Last month' },
  { value: '90', label: 'Last 90 days' },
  { value: '365', label: 'Last 12 months' },
] as const
export type RangeName = (typeof RANGES)[number]['value']

/** Hours are told of so many days at most. */
const MAX_HOURLY_DAYS = 31

export function isHourly(range: Pick<UsageRange, 'from' | 'to'>): boolean {
  return Date.parse(range.to) - Date.parse(range.from) <= MAX_HOURLY_DAYS * DAY_MS
}

/** The days of a range; today is the last of those that go up to now. */
export function daysOf(name: RangeName, now: Date = new Date()): { from: string; to: string } {
  const monthStart = (back: number) => Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1)
  const tomorrow = Math.floor(now.getTime() / DAY_MS) * DAY_MS + DAY_MS
  if (name === 'month') return { from: day(monthStart(0)), to: day(tomorrow) }
  if (name === 'last-month') return { from: day(monthStart(1)), to: day(monthStart(0)) }
  return { from: day(tomorrow - Number(name) * DAY_MS), to: day(tomorrow) }
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
