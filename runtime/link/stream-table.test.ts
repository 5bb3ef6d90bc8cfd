import fc from 'fast-check'
import { expect, test } from 'vitest'
import { StreamTable } from './stream-table.ts'

test('a table of streams holds what a Map would, also when many share a place', () => {
  const id = fc.oneof(
    fc.nat(20),
    fc.nat(5).map((n) => n * 1_024 + 7),
  )
  fc.assert(
    fc.property(fc.array(fc.record({ id, isAdded: fc.boolean() }), { maxLength: 200 }), (steps) => {
      const table = new StreamTable<{ id: number }>()
      const model = new Map<number, { id: number }>()
      for (const { id, isAdded } of steps) {
        if (isAdded && !model.has(id)) {
          const stream = { id }
          table.add(id, stream)
          model.set(id, stream)
        } else if (!isAdded) {
          table.delete(id)
          model.delete(id)
        }
        expect(table.get(id)).toBe(model.get(id))
        expect(table.size).toBe(model.size)
      }
      expect(new Set(table.all())).toEqual(new Set(model.values()))
      for (const key of model.keys()) expect(table.get(key)).toBe(model.get(key))
      table.clear()
      expect([table.size, table.all().length]).toEqual([0, 0])
    }),
  )
})
