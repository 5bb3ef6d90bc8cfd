import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RecordSet } from './dns-driver.ts'
import { formatMark, hostOfMark, markName, parseMark } from './ownership.ts'
import { type DnsHost, type HostPolicy, planChanges } from './plan-changes.ts'

const policy: HostPolicy = {
  domain: 'db.example',
  owner: 'main',
  ttlSeconds: 300,
  targets: [
    { type: 'A', values: ['192.0.2.1'] },
    { type: 'AAAA', values: ['2001:db8::1'] },
  ],
  platformLabels: new Set(['control']),
}

const labels = ['acme', 'beta', 'gamma', 'control', 'www']
const hosts = fc.uniqueArray(
  fc.record({ label: fc.constantFrom(...labels), tenantId: fc.constantFrom('ten_1', 'ten_2') }),
  {
    selector: (host) => host.label,
  },
)
const marks = [
  formatMark({ owner: 'main', tenantId: 'ten_1' }),
  formatMark({ owner: 'main', tenantId: 'ten_2' }),
  formatMark({ owner: 'other', tenantId: 'ten_1' }),
  'v=spf1 -all',
]
const setAt = (name: string, type: RecordSet['type'], values: string[]) =>
  fc.record({
    name: fc.constant(name),
    type: fc.constant(type),
    ttlSeconds: fc.constantFrom(60, 300),
    values: fc.subarray(values, { minLength: 1 }),
  })
const zones = fc
  .tuple(
    ...[...labels, 'stranger'].flatMap((label) => {
      const host = `${label}.db.example`
      return [
        fc.option(setAt(host, 'A', ['192.0.2.1', '203.0.113.1'])),
        fc.option(setAt(host, 'AAAA', ['2001:db8::1'])),
        fc.option(setAt(host, 'TXT', ['hello', ...marks])),
        fc.option(setAt(markName(host), 'TXT', marks)),
      ]
    }),
  )
  .map((sets) => sets.filter((set) => set !== null))

function carryOut(zone: readonly RecordSet[], desired: readonly DnsHost[]): RecordSet[] {
  const after = new Map(zone.map((set) => [`${set.type} ${set.name}`, set]))
  for (const { changes } of planChanges(policy, desired, zone).hosts)
    for (const { before, after: goal } of changes) {
      if (before !== undefined) expect(after.delete(`${before.type} ${before.name}`)).toBe(true)
      if (goal !== undefined) after.set(`${goal.type} ${goal.name}`, goal)
    }
  return [...after.values()]
}

test('one round reaches the goal: the next finds nothing to do, and the same conflicts', () => {
  fc.assert(
    fc.property(hosts, zones, (desired, zone) => {
      const before = planChanges(policy, desired, zone)
      const after = planChanges(policy, desired, carryOut(zone, desired))
      expect(after.hosts).toEqual([])
      expect(after.conflicts).toEqual(before.conflicts)
    }),
  )
})

test('a host without our mark keeps its records, however they look', () => {
  fc.assert(
    fc.property(hosts, zones, (desired, zone) => {
      const isOurs = (host: string) =>
        zone.some((set) => set.name === markName(host) && set.values.some((text) => parseMark(text)?.owner === 'main'))
      const after = carryOut(zone, desired)
      for (const set of zone) {
        const host = hostOfMark(set.name, policy.domain) ?? set.name
        const survivor = after.find((other) => other.name === set.name && other.type === set.type)
        if (!isOurs(host) || (set.type === 'TXT' && set.name === host))
          expect(survivor?.values.toSorted()).toEqual(set.values.toSorted())
      }
    }),
  )
})

test('every wanted host without a conflict resolves afterwards, and no orphan of ours does', () => {
  fc.assert(
    fc.property(hosts, zones, (desired, zone) => {
      const { conflicts } = planChanges(policy, desired, zone)
      const after = carryOut(zone, desired)
      const blocked = new Set(conflicts.map(({ host }) => host))
      for (const { label, tenantId } of desired) {
        const host = `${label}.db.example`
        if (blocked.has(host)) continue
        expect(after.find((set) => set.name === host && set.type === 'A')?.values).toEqual(['192.0.2.1'])
        expect(after.find((set) => set.name === markName(host))?.values).toEqual([
          formatMark({ owner: 'main', tenantId }),
        ])
      }
      for (const set of after) {
        const host = hostOfMark(set.name, policy.domain)
        if (host !== undefined && set.values.some((text) => parseMark(text)?.owner === 'main'))
          expect(desired.map(({ label }) => `${label}.db.example`)).toContain(host)
      }
    }),
  )
})

test('a mark reads back what was written, and nothing else is a mark', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z0-9-]{1,63}$/), fc.stringMatching(/^[a-z0-9_-]{1,64}$/), (owner, tenantId) => {
      expect(parseMark(formatMark({ owner, tenantId }))).toEqual({ owner, tenantId })
    }),
  )
  expect(parseMark('heritage=external-dns,external-dns/owner=main')).toBeUndefined()
  expect(hostOfMark('_aerodb.a.b.db.example', 'db.example')).toBeUndefined()
  expect(hostOfMark('_aerodb.db.example', 'db.example')).toBeUndefined()
})
