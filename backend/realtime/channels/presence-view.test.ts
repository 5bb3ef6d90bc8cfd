import fc from 'fast-check'
import { expect, test } from 'vitest'
import { diffJson, type PresenceEntry, PresenceView, presenceMetaJson } from './presence-view.ts'

const entries = fc
  .uniqueArray(
    fc.record({
      ref: fc.nat(30).map((n) => `${n % 2 === 0 ? 'us' : 'them'}.${n}`),
      key: fc.constantFrom('a', 'b', '__proto__'),
    }),
    { selector: (entry) => entry.ref, maxLength: 15 },
  )
  .map((list) => list.map((entry): PresenceEntry => ({ ...entry, metaJson: presenceMetaJson({}, entry.ref) })))
const isOurs = (ref: string) => ref.startsWith('us.')
const refsOf = (view: PresenceView) =>
  view
    .select(() => true)
    .map((entry) => entry.ref)
    .sort()

test('a diff that is applied twice is news once', () => {
  fc.assert(
    fc.property(entries, entries, (joins, leaves) => {
      const view = new PresenceView()
      view.apply({ joins, leaves: [] })
      view.apply({ joins: [], leaves })
      expect(view.apply({ joins: [], leaves })).toEqual({ joins: [], leaves: [] })
      expect(refsOf(view)).toEqual(
        joins
          .map(({ ref }) => ref)
          .filter((ref) => !leaves.some((gone) => gone.ref === ref))
          .sort(),
      )
    }),
  )
})

test('after a reconciliation the view holds what is ours as we know it and of the others what was read', () => {
  fc.assert(
    fc.property(entries, entries, (known, read) => {
      const view = new PresenceView()
      view.apply({ joins: known, leaves: [] })
      const mirror = new PresenceView()
      mirror.apply({ joins: known, leaves: [] })
      mirror.apply(view.reconcile(read, isOurs))
      const expected = [...known.filter(({ ref }) => isOurs(ref)), ...read.filter(({ ref }) => !isOurs(ref))]
      expect(refsOf(view)).toEqual(expected.map(({ ref }) => ref).sort())
      // Whoever follows by the diffs alone sees the same.
      expect(refsOf(mirror)).toEqual(refsOf(view))
    }),
  )
})

test('what clients are told is JSON, whatever keys are called, and a reference cannot be forged', () => {
  fc.assert(
    fc.property(entries, (joins) => {
      const { joins: told } = JSON.parse(diffJson({ joins, leaves: [] })) as {
        joins: Record<string, { metas: unknown[] }>
      }
      const metas = Object.entries(told).flatMap(([, presence]) => presence.metas)
      expect(metas).toHaveLength(joins.length)
    }),
  )
  expect(JSON.parse(presenceMetaJson({ phx_ref: 'forged', a: 1 }, 'true'))).toEqual({ a: 1, phx_ref: 'true' })
})
