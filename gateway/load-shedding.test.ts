import { expect, test } from 'vitest'
import { LoadShedding } from './load-shedding.ts'

function enterMany(shedding: LoadShedding, tenantId: string, count: number): number {
  let entered = 0
  for (let i = 0; i < count; i++) {
    try {
      shedding.enter(tenantId)
      entered++
    } catch {
      // Refused.
    }
  }
  return entered
}

test('alone a tenant may fill all the room, and no more', () => {
  const shedding = new LoadShedding(100)
  expect(enterMany(shedding, 'a', 200)).toBe(100)
})

test('beside others a noisy tenant is held to its share, and the quiet ones are let in', () => {
  const shedding = new LoadShedding(100)
  expect(enterMany(shedding, 'quiet-1', 2)).toBe(2)
  expect(enterMany(shedding, 'noisy', 500)).toBe(50)
  expect(enterMany(shedding, 'quiet-2', 5)).toBe(5)
  expect(enterMany(shedding, 'quiet-1', 5)).toBe(5)
})

test('after a noisy tenant has filled the room alone, another one still gets in', () => {
  const shedding = new LoadShedding(100)
  enterMany(shedding, 'noisy', 500)
  expect(enterMany(shedding, 'quiet', 5)).toBe(5)
  for (let i = 0; i < 100; i++) shedding.leave('noisy')
  for (let i = 0; i < 5; i++) shedding.leave('quiet')
  expect(shedding.underWay).toBe(0)
  expect(enterMany(shedding, 'quiet', 100)).toBe(100)
})
