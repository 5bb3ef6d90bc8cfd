import { expect, test } from 'vitest'
import { makeLogger } from '../../runtime/log.ts'
import { migrate } from '../../runtime/migrations.ts'
import { makePostgresPool } from '../../runtime/postgres-pool.ts'
import { withDatabase } from '../../test/support/databases.ts'
import { readDnsConfig } from './dns-config.ts'
import { makeDnsKeeper, tenantsTableSource } from './make-dns-keeper.ts'

const log = makeLogger('test', 'silent')

test('the tenants’ table says who resolves: the living ones and the platform itself', () =>
  withDatabase(async (url) => {
    const directory = new URL('../migrations', import.meta.url).pathname
    await migrate({ databaseUrl: url, schema: 'control', directory, log })
    const pool = makePostgresPool({ url, applicationName: 'test', maxConnections: 1, log })
    try {
      await pool.query(`insert into control.tenants (tenant_id, name, plan, region, isolation, status) values
        ('ten_1', 'acme', 'free', 'local', 'schema', 'deleted'), ('ten_2', 'acme', 'free', 'local', 'schema', 'active'),
        ('ten_3', 'beta', 'free', 'local', 'schema', 'suspended'), ('ten_4', 'gone', 'free', 'local', 'schema', 'deleting')`)
      const source = tenantsTableSource(pool)
      expect(await source.findHost('acme')).toEqual({ label: 'acme', tenantId: 'ten_2' })
      expect(await source.findHost('gone')).toBeUndefined()
      expect(await source.findHost('control')).toEqual({ label: 'control', tenantId: 'platform' })
      expect((await source.listHosts()).map(({ label }) => label).toSorted()).toEqual(['acme', 'beta', 'control'])
    } finally {
      await pool.end()
    }
  }))

test('without a driver there is no keeper', () => {
  const source = { findHost: async () => undefined, listHosts: async () => [] }
  expect(makeDnsKeeper({ config: readDnsConfig({}), domain: 'localhost', source, log })).toBeUndefined()
})
