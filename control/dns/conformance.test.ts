import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type DnsDriver, DnsFault, type RecordChange } from './dns-driver.ts'
import { formatMark } from './ownership.ts'
import type { DnsHost, HostPolicy } from './plan-changes.ts'
import { TenantDns } from './tenant-dns.ts'
import { cloudflarePeer, type DnsPeer, powerDnsPeer, rfc2136Peer } from './testing/dns-peers.ts'
import { ZONE } from './testing/power-dns-server.ts'

const DOMAIN = `db.${ZONE}`
const acme: DnsHost = { label: 'acme', tenantId: 'ten_01k3zq8v5w9r2m4n6p8s0t1xyz' }
const beta: DnsHost = { label: 'beta', tenantId: 'ten_01k3zq8v5w9r2m4n6p8s0t1xy0' }
const at = (label: string) => `${label}.${DOMAIN}`

const policy: HostPolicy = {
  domain: DOMAIN,
  owner: 'main',
  ttlSeconds: 120,
  targets: [
    { type: 'A', values: ['192.0.2.1', '192.0.2.2'] },
    { type: 'AAAA', values: ['2001:db8::1'] },
  ],
  platformLabels: new Set(['control']),
}
const byName: HostPolicy = { ...policy, targets: [{ type: 'CNAME', values: ['gateway.example.net'] }] }

describe.each([
  ['powerdns', powerDnsPeer],
  ['rfc2136', rfc2136Peer],
  ['cloudflare', cloudflarePeer],
])('the driver %s', (_name, startPeer) => {
  let peer: DnsPeer
  const dns = (over: Partial<HostPolicy> = {}, driver: DnsDriver = peer.driver) =>
    new TenantDns(driver, { ...policy, ...over })
  const listOf =
    (...hosts: DnsHost[]) =>
    async () =>
      hosts
  const nothing = { created: 0, changed: 0, removed: 0, heldBack: 0, conflicts: [], failures: [] }

  beforeAll(async () => {
    peer = await startPeer()
  })
  afterAll(() => peer.stop())
  beforeEach(() => peer.empty())

  test('makes a tenant’s records, and making them again changes nothing', async () => {
    await dns().settle('acme', acme)
    await dns().settle('acme', acme)
    expect(await peer.resolve(at('acme'), 'A')).toEqual(['192.0.2.1', '192.0.2.2'])
    expect(await peer.resolve(at('acme'), 'AAAA')).toEqual(['2001:db8::1'])
    expect(await peer.resolve(`_aerodb.${at('acme')}`, 'TXT')).toEqual([
      formatMark({ owner: 'main', tenantId: acme.tenantId }),
    ])
    expect(await dns().reconcile(listOf(acme))).toEqual({ ...nothing, unchanged: 1 })
  })

  test('removes all of a tenant’s records with it, and nothing of its neighbour', async () => {
    await dns().settle('acme', acme)
    await dns().settle('beta', beta)
    await dns().settle('acme', undefined)
    await dns().settle('acme', undefined)
    expect(await peer.resolve(at('acme'), 'A')).toEqual([])
    expect(await peer.resolve(at('acme'), 'AAAA')).toEqual([])
    expect(await peer.resolve(`_aerodb.${at('acme')}`, 'TXT')).toEqual([])
    expect(await peer.resolve(at('beta'), 'A')).toEqual(['192.0.2.1', '192.0.2.2'])
  })

  test('follows a new target, time to live and kind of target', async () => {
    await dns().settle('acme', acme)
    const moved = { targets: [{ type: 'A' as const, values: ['192.0.2.2', '192.0.2.9'] }], ttlSeconds: 600 }
    expect(await dns(moved).reconcile(listOf(acme))).toMatchObject({ changed: 1 })
    expect(await peer.resolve(at('acme'), 'A')).toEqual(['192.0.2.2', '192.0.2.9'])
    expect(await peer.resolve(at('acme'), 'AAAA')).toEqual([])
    expect((await peer.driver.read([at('acme')]))[0]?.ttlSeconds).toBe(600)
    expect(await dns(byName).reconcile(listOf(acme))).toMatchObject({ changed: 1 })
    expect(await peer.resolve(at('acme'), 'CNAME')).toEqual(['gateway.example.net'])
    expect(await dns().reconcile(listOf(acme))).toMatchObject({ changed: 1 })
    expect(await peer.resolve(at('acme'), 'A')).toEqual(['192.0.2.1', '192.0.2.2'])
    expect(await peer.resolve(at('acme'), 'CNAME')).toEqual([])
  })

  test('repairs what is missing, wrong or orphaned', async () => {
    await dns().reconcile(listOf(acme, beta, { label: 'gone', tenantId: 'ten_gone' }))
    await peer.put(at('acme'), 'A', 120, [])
    await peer.put(at('beta'), 'A', 120, ['203.0.113.66'])
    const report = await dns().reconcile(listOf(acme, beta, { label: 'control', tenantId: 'platform' }))
    expect(report).toEqual({ ...nothing, created: 1, changed: 2, removed: 1, unchanged: 0 })
    expect(await peer.resolve(at('acme'), 'A')).toEqual(['192.0.2.1', '192.0.2.2'])
    expect(await peer.resolve(at('beta'), 'A')).toEqual(['192.0.2.1', '192.0.2.2'])
    expect(await peer.resolve(at('gone'), 'A')).toEqual([])
    expect(await peer.resolve(at('control'), 'A')).toEqual(['192.0.2.1', '192.0.2.2'])
  })

  test('touches nothing that is not marked as ours, whoever’s it is', async () => {
    const foreign = [
      [at('acme'), 'A', ['203.0.113.7']],
      [at('shop'), 'A', ['203.0.113.8']],
      [`_aerodb.${at('shop')}`, 'TXT', [formatMark({ owner: 'other', tenantId: 'ten_other' })]],
      [at('beta'), 'MX', ['10 mail.example.net.']],
      [`_aerodb.${at('notes')}`, 'TXT', ['heritage=aerodb, or so']],
      [DOMAIN, 'A', ['203.0.113.9']],
    ] as const
    for (const [name, type, values] of foreign) await peer.put(name, type, 60, values)
    const shop = { label: 'shop', tenantId: 'ten_mine' }
    const report = await dns().reconcile(listOf(acme, shop, beta))
    expect(report).toMatchObject({ created: 1, removed: 0, failures: [] })
    expect(report.conflicts.map(({ host, code }) => [host, code])).toEqual([
      [at('acme'), 'foreign_record'],
      [at('shop'), 'other_owner'],
    ])
    expect(await dns().settle('acme', acme)).toMatchObject({ code: 'foreign_record' })
    await dns().settle('beta', undefined)
    await dns().settle('shop', undefined)
    await dns().reconcile(listOf())
    for (const [name, type, values] of foreign)
      expect(await peer.resolve(name, type)).toEqual(values.map((value) => value.replace(/\.$/, '')).toSorted())
  })

  test('adopts a record that somebody made by hand exactly as it should be', async () => {
    await peer.put(at('acme'), 'A', 60, ['192.0.2.2', '192.0.2.1'])
    await peer.put(at('acme'), 'AAAA', 60, ['2001:db8:0:0::1'])
    expect(await dns().settle('acme', acme)).toBeUndefined()
    expect(await dns().reconcile(listOf(acme))).toEqual({ ...nothing, unchanged: 1 })
  })

  test('is not taken in by a wildcard record', async () => {
    await peer.put(`*.${DOMAIN}`, 'A', 60, ['203.0.113.1'])
    await peer.put(`*.${DOMAIN}`, 'TXT', 60, [formatMark({ owner: 'main', tenantId: 'ten_wild' })])
    expect(await dns().settle('acme', acme)).toBeUndefined()
    expect(await peer.resolve(at('acme'), 'A')).toEqual(['192.0.2.1', '192.0.2.2'])
    expect(await peer.driver.read([at('beta')])).toEqual([])
    await dns().settle('acme', undefined)
    expect(await peer.driver.read([at('acme'), `_aerodb.${at('acme')}`])).toEqual([])
  })

  test('a name that may not be a tenant’s is never written', async () => {
    const report = await dns().reconcile(
      listOf({ label: 'www', tenantId: 'ten_a' }, { label: 'a.b', tenantId: 'ten_b' }),
    )
    expect(report.conflicts.map(({ code }) => code)).toEqual(['invalid_name', 'invalid_name'])
    expect(await peer.driver.read([at('www'), at('a.b')])).toEqual([])
  })

  test('one host that cannot be written does not keep others from it', async () => {
    const refusing: DnsDriver = {
      name: 'refusing',
      maxChanges: peer.driver.maxChanges,
      list: () => peer.driver.list(),
      read: (names) => peer.driver.read(names),
      apply: async (changes: readonly RecordChange[]) => {
        if (changes.some(({ after }) => after?.name === at('acme'))) throw new DnsFault('dns_refused', 'No.')
        await peer.driver.apply(changes)
      },
    }
    const report = await dns({}, refusing).reconcile(listOf(acme, beta))
    expect(report.created).toBe(1)
    expect(report.failures.map(({ host }) => host)).toEqual([at('acme')])
    expect(await peer.resolve(at('beta'), 'A')).toEqual(['192.0.2.1', '192.0.2.2'])
  })

  test('hundreds of tenants are written in batches, and read back in full', async () => {
    const hosts = Array.from({ length: 300 }, (_, i) => ({ label: `tenant-${i}`, tenantId: `ten_${i}` }))
    expect(await dns().reconcile(listOf(...hosts))).toMatchObject({ created: 300, failures: [] })
    expect(await dns().reconcile(listOf(...hosts))).toMatchObject({ unchanged: 300 })
    expect(await peer.resolve(at('tenant-299'), 'A')).toEqual(['192.0.2.1', '192.0.2.2'])
  })

  test('says so when the provider is away, and works when it is back', async () => {
    await peer.halt()
    const fault = await dns()
      .settle('acme', acme)
      .catch((thrown: unknown) => thrown)
    await peer.resume()
    expect(fault).toBeInstanceOf(DnsFault)
    expect((fault as DnsFault).code).toMatch(/^dns_(unreachable|rate_limited)$/)
    await dns().settle('acme', acme)
    expect(await peer.resolve(at('acme'), 'A')).toEqual(['192.0.2.1', '192.0.2.2'])
  })
})
