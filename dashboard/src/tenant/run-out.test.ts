import { expect, test } from 'vitest'
import { monthlyRunOut, storageRunOut } from './run-out.ts'

const day = (date: number, value: number) => ({ at: new Date(Date.UTC(2026, 10, date)).toISOString(), value })
const noonOf = (date: number) => Date.UTC(2026, 10, date, 12)

test('a month’s allowance runs out where the pace of the month so far leads to', () => {
  const points = Array.from({ length: 10 }, (_, i) => day(i + 1, 100))
  expect(monthlyRunOut(points, 2_000, Date.UTC(2026, 10, 11))?.toISOString()).toBe('2026-11-21T00:00:00.000Z')
  expect(monthlyRunOut(points, 5_000, Date.UTC(2026, 10, 11))).toBeUndefined()
  expect(monthlyRunOut(points, 1_000, noonOf(10))).toBeUndefined()
  expect(monthlyRunOut([day(1, 0)], 1_000, noonOf(1))).toBeUndefined()
  expect(monthlyRunOut([], 1_000, noonOf(1))).toBeUndefined()
})

test('storage runs out by the growth of the last week, not by what was before, and never when it shrinks', () => {
  const points = [0, 0, 0, 100, 110, 120, 130, 140, 150, 160, 170].map((value, i) => day(i + 1, value))
  expect(storageRunOut(points, 200, noonOf(11))?.toISOString()).toBe('2026-11-14T12:00:00.000Z')
  expect(storageRunOut(points, 1_000_000, noonOf(11))).toBeUndefined()
  expect(storageRunOut(points.toReversed(), 500, noonOf(11))).toBeUndefined()
  expect(storageRunOut(points.slice(0, 2), 500, noonOf(2))).toBeUndefined()
})
