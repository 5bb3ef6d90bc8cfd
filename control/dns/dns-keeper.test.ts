import fc from 'fast-check'
import { afterEach, expect, test, vi } from 'vitest'
import { makeLogger } from '../../runtime/log.ts'
import { type DnsDriver, DnsFault, type RecordSet } from './dns-driver.ts'
import { DnsKeeper, pauseMs } from './dns-keeper.ts'
import type { DnsHost } from './plan-changes.ts'
import { TenantDns } from './tenant-dns.ts'

const keepers: DnsKeeper[] = []
afterEach(async () => {
  for (const keeper of keepers.splice(0)) await keeper.stop()
})

/** A zone in memory whose provider fails as often as it is told to. */
class FlakyDriver implements DnsDriver {
  readonly name = 'flaky'
  readonly maxChanges = 10
  readonly zone = new Map<string, RecordSet>()
  failures = 0
  beforeApply = async () => {}

  async list(): Promise<RecordSet[]> {
    this.#fail()
    return [...this.zone.values()]
  }
  async read(names: readonly string[]): Promise<RecordSet[]> {
    this.#fail()
    return [...this.zone.values()].filter((set) => names.includes(set.name))
  }
  async apply(changes: Parameters<DnsDriver['apply']>[0]): Promise<void> {
    this.#fail()
    await this.beforeApply()
    for (const { before, after } of changes) {
      if (before !== undefined) this.zone.delete(`${before.type} ${before.name}`)
      if (after !== undefined) this.zone.set(`${after.type} ${after.name}`, after)
    }
  }
  #fail(): void {
    if (this.failures-- > 0) throw new DnsFault('dns_unreachable', 'away')
  }
}

function setUp(over: { reconcileMs?: number; patienceMs?: number } = {}) {
  const driver = new FlakyDriver()
  const tenants = new Map<string, DnsHost>()
  const dns = new TenantDns(driver, {
    domain: 'db.example',
    owner: 'main',
    ttlSeconds: 300,
    targets: [{ type: 'A', values: ['192.0.2.1'] }],
    platformLabels: new Set(),
  })
  const keeper = new DnsKeeper({
    dns,
    source: { findHost: async (label) => tenants.get(label), listHosts: async () => [...tenants.values()] },
    reconcileMs: 3_600_000,
    firstPauseMs: 1,
    maxPauseMs: 4,
    log: makeLogger('test', 'silent'),
    ...over,
  })
  keepers.push(keeper)
  const resolves = (label: string) => driver.zone.has(`A ${label}.db.example`)
  return {
    driver,
    tenants,
    keeper,
    resolves,
    create: (label: string) => tenants.set(label, { label, tenantId: 'ten_1' }),
  }
}

test('a new tenant resolves at once, a deleted one no longer', async () => {
  const { tenants, keeper, resolves, create } = setUp()
  create('acme')
  expect(await keeper.changed('acme')).toBe(true)
  expect(resolves('acme')).toBe(true)
  tenants.delete('acme')
  expect(await keeper.changed('acme')).toBe(true)
  expect(resolves('acme')).toBe(false)
})

test('a provider that fails delays the name and fails nobody; it is tried again until it works', async () => {
  const { driver, keeper, resolves, create } = setUp()
  driver.failures = 7
  create('acme')
  expect(await keeper.changed('acme')).toBe(false)
  await vi.waitFor(() => expect(resolves('acme')).toBe(true))
  await vi.waitFor(() => expect(keeper.status.pending).toBe(0))
})

test('a provider that hangs holds nobody up beyond the patience', async () => {
  const { driver, keeper, create } = setUp({ patienceMs: 5 })
  const held = Promise.withResolvers<void>()
  driver.beforeApply = () => held.promise
  create('acme')
  expect(await keeper.changed('acme')).toBe(false)
  held.resolve()
  await vi.waitFor(() => expect(keeper.status.pending).toBe(0))
})

test('of two changes at once the last one stands', async () => {
  const { driver, tenants, keeper, resolves, create } = setUp()
  create('acme')
  driver.beforeApply = async () => {
    driver.beforeApply = async () => {}
    tenants.delete('acme')
    void keeper.changed('acme')
  }
  await keeper.changed('acme')
  await vi.waitFor(() => expect(keeper.status.pending).toBe(0))
  expect(resolves('acme')).toBe(false)
})

test('what a killed process left behind is repaired on the next start, also when the provider is away at first', async () => {
  const { driver, tenants, keeper, resolves, create } = setUp()
  create('left')
  await keeper.changed('left')
  tenants.delete('left')
  create('acme')
  driver.failures = 3
  keeper.start()
  await vi.waitFor(() => expect(resolves('acme')).toBe(true))
  await vi.waitFor(() => expect(resolves('left')).toBe(false))
  await vi.waitFor(() => expect(keeper.status.lastReport).toMatchObject({ created: 1, removed: 1 }))
})

test('an empty tenants’ table does not take every name off the net; tenants that are deleted still go one by one', async () => {
  const { driver, tenants, keeper, resolves, create } = setUp()
  const labels = Array.from({ length: 20 }, (_, i) => `tenant-${i}`)
  for (const label of labels) {
    create(label)
    await keeper.changed(label)
  }
  tenants.clear()
  keeper.start()
  await vi.waitFor(() => expect(keeper.status.lastReport).toMatchObject({ removed: 0, heldBack: 20 }))
  expect(labels.every(resolves)).toBe(true)
  expect(driver.zone.size).toBe(40)
  for (const label of labels) await keeper.changed(label)
  expect(driver.zone.size).toBe(0)
})

test('pauses grow to their bound and never vanish', () => {
  fc.assert(
    fc.property(fc.nat(100), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
      const pause = pauseMs(attempt, 1_000, 300_000, random)
      expect(pause).toBeGreaterThanOrEqual(500)
      expect(pause).toBeLessThanOrEqual(300_000)
      expect(pauseMs(attempt + 1, 1_000, 300_000, random)).toBeGreaterThanOrEqual(pause)
    }),
  )
})
