import pg from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Tenant, TestPlatform } from '../support/platform.ts'

/*
 * The tables that backends make for a tenant are upgraded after a release too; the release before is made by hand.
 */

let platform: TestPlatform
let tenant: Tenant

beforeAll(async () => {
  platform = await TestPlatform.start()
  tenant = await platform.createTenant('upgraded', { plan: 'pro' })
  const bucket = { id: 'files', name: 'files', public: false }
  const made = await platform.call('upgraded', '/storage/v1/bucket', { key: tenant.keys.service, body: bucket })
  expect(made.status, made.text).toBe(200)
}, 120_000)

afterAll(() => platform?.close())

async function query(url: string | undefined, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await client.query(sql)
  } finally {
    await client.end()
  }
}

test('an index that a release adds to the tables behind files comes to every tenant that has them', async () => {
  const [shared] = platform.endpoints.shared_database_urls
  const schema = `t_${tenant.tenant_id.slice(4)}`
  const find = () =>
    query(shared, `select from pg_indexes where schemaname = '${schema}' and indexname = '_storage_objects_folder'`)
  await query(shared, `drop index ${schema}._storage_objects_folder`)
  await query(
    platform.endpoints.metadata_database_url,
    `update control.tenants set tables_version = 0 where tenant_id = '${tenant.tenant_id}'`,
  )
  await vi.waitFor(async () => expect((await find()).rowCount).toBe(1), { timeout: 20_000, interval: 200 })
  const { json } = await platform.control('/v1/upgrades')
  expect(json).toMatchObject({ target: { tables_version: 1 }, tenants: { total: 1, failed: 0 } })
}, 60_000)
