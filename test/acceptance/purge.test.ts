import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { Redis } from 'ioredis'
import pg from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Tenant, TestPlatform } from '../support/platform.ts'

/*
 * A purge removes every trace of a tenant. The test leaves as many as it can, purges, and then looks everywhere the platform
 * keeps anything: its files, every table of every database, every key and value of Redis, what its processes logged. Of a
 * shared server's own files only what SQL sees is looked at: its write-ahead log forgets as it is recycled.
 */

vi.setConfig({ testTimeout: 90_000, hookTimeout: 180_000 })

/** What the books keep: who was a customer, what was done, and what was or will be billed or counted as uptime. */
const BOOKS = [
  /^control\.(tenants|operations|audit_log|plan_segments|serving_segments|compute_facts)$/,
  /^metering\.(billed_tenants|daily_totals|gauges|gauge_hourly|gauge_daily|usage_hourly|usage_daily|ledger(_\w+)?)$/,
]
/** Of these, what counts requests by endpoint, where a collection's name is a part of the endpoint's. */
const ENDPOINTS = /^metering\.(usage_hourly|usage_daily|ledger(_\w+)?)$/
/** How long a limit's state in Redis outlives its last request. */
const LIMITS_LIVE_MS = 122_000

let platform: TestPlatform

beforeAll(async () => {
  platform = await TestPlatform.start()
})
afterAll(() => platform?.close())

test.each([
  ['schema', 'pro'],
  ['database', 'pro'],
  ['cluster', 'enterprise'],
])('a purge of a %s tenant leaves nothing behind but what the books need', async (isolation, plan) => {
  const tenant = await platform.createTenant(`traced-${isolation}`, { plan, isolation })
  const collection = `rows_${isolation}x7q`
  const data = `data${isolation}x7q`
  await leaveTraces(tenant, collection, data)
  const identity = [tenant.tenant_id.slice('ten_'.length), tenant.name]
  const hashes = Object.values(tenant.keys).flatMap((key) =>
    (['hex', 'base64', 'base64url'] as const).map((encoding) => createHash('sha256').update(key).digest(encoding)),
  )
  const secrets = [data, ...Object.values(tenant.keys), ...hashes]
  // Before, the test's eyes see what they look for.
  expect(await searchDatabases([tenant.name])).toContain('control.tenants')
  expect(await searchFiles(identity)).toContain(`directory/tenant-${tenant.name}.json`)
  const purge = await platform.control(`/v1/tenants/${tenant.tenant_id}?purge=true`, { method: 'DELETE' })
  expect(purge.status).toBe(202)
  await vi.waitFor(
    async () =>
      expect((await platform.control(`/v1/operations/${purge.json.operation_id}`)).json.status).toBe('succeeded'),
    { timeout: 30_000, interval: 100 },
  )
  await vi.waitFor(
    async () => {
      expect(await searchFiles([...identity, collection, ...secrets], /^(spool|logs)\//)).toEqual([])
      expect(await searchRedis([...identity, collection, ...secrets])).toEqual([])
    },
    { timeout: 15_000, interval: 500 },
  )
  expect(await searchFiles(secrets)).toEqual([])
  expect(secrets.filter((secret) => platform.output.includes(secret))).toEqual([])
  expect(await searchDatabases(secrets)).toEqual([])
  expect((await searchDatabases([collection])).filter((table) => !ENDPOINTS.test(table))).toEqual([])
  const holders = await searchDatabases(identity)
  expect(holders.filter((table) => !BOOKS.some((book) => book.test(table)))).toEqual([])
})

async function leaveTraces(tenant: Tenant, collection: string, data: string): Promise<void> {
  const { name, keys } = tenant
  const call = async (path: string, body: unknown = undefined, headers: Record<string, string> = {}) => {
    const answer = await platform.call(name, path, { key: keys.service, headers, body })
    expect(answer.status, `${path}: ${answer.text}`).toBeLessThan(300)
  }
  const columns = [{ name: 'title', type: 'text', nullable: false }]
  await call('/schema/v1/collections', { name: collection, columns })
  const rows = Array.from({ length: 50 }, (_, i) => ({ title: `${data} ${i}` }))
  await call(`/rest/v1/${collection}`, rows)
  await call(`/rest/v1/${collection}?title=eq.${data}%201`)
  await call('/storage/v1/bucket', { id: data, name: data, public: true })
  await call(`/storage/v1/object/${data}/${data}.txt`, `${data} in a file`, { 'content-type': 'text/plain' })
  await call(`/storage/v1/object/public/${data}/${data}.txt`)
  await call('/realtime/v1/api/broadcast', { messages: [{ topic: data, event: data, payload: { data } }] })
  const path = `/v1/tenants/${tenant.tenant_id}`
  const rotated = await platform.control(`${path}/keys`, { body: { kind: 'anon' } })
  expect(rotated.status, rotated.text).toBeLessThan(300)
  // Refused ones too: a wrong key, a collection that is not there, a hostile value.
  await platform.call(name, `/rest/v1/${collection}`, { key: `${keys.anon.slice(0, -2)}zz` })
  await platform.call(name, `/rest/v1/${collection}_none`, { key: keys.anon })
  await platform.call(name, `/rest/v1/${collection}?title=eq.${data}%00`, { key: keys.anon })
}

/** The platform's files that hold one of `needles`, in their names or inside; a server's own files are searched by asking it. */
async function searchFiles(needles: readonly string[], except = /^$/): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(platform.directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const name = relative(platform.directory, path)
    if (/^(postgres|redis)\//.test(name) || except.test(name)) continue
    const content = entry.isFile() ? await readFile(path, 'latin1').catch(() => '') : ''
    if (needles.some((needle) => name.includes(needle) || content.includes(needle))) found.push(name)
  }
  return found
}

/** The keys that hold one of `needles`, but those of limits that are about to run out. */
async function searchRedis(needles: readonly string[]): Promise<string[]> {
  const redis = new Redis(platform.endpoints.redis_url)
  const found: string[] = []
  try {
    for (const key of await redis.keys('*')) {
      const value = await readKey(redis, key)
      const text = `${key} ${JSON.stringify(value)}`
      if (!needles.some((needle) => text.includes(needle))) continue
      const livesMs = await redis.pttl(key)
      if (!(key.startsWith('aerodb:rate:') && livesMs > 0 && livesMs <= LIMITS_LIVE_MS)) found.push(key)
    }
  } finally {
    redis.disconnect()
  }
  return found
}

async function readKey(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'string':
      return redis.get(key)
    case 'hash':
      return redis.hgetall(key)
    case 'set':
      return redis.smembers(key)
    case 'zset':
      return redis.zrange(key, '0', '-1')
    case 'list':
      return redis.lrange(key, 0, -1)
    case 'stream':
      return redis.xrange(key, '-', '+')
    case 'none':
      return undefined
    default:
      throw new Error(`The test cannot read ${key}`)
  }
}

/** The tables, roles and schemas of the platform's servers that hold one of `needles`. */
async function searchDatabases(needles: readonly string[]): Promise<string[]> {
  const found = new Set<string>()
  const { metadata_database_url, shared_database_urls } = platform.endpoints
  for (const url of new Set([metadata_database_url, ...shared_database_urls])) {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      const { rows } = await client.query<{ name: string }>(
        `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname <> 'information_schema'`,
      )
      for (const { name } of rows) {
        const hit = await client.query(
          `select 1 from ${name} as t where exists (select from unnest($1::text[]) as n where strpos(t::text, n) > 0) limit 1`,
          [needles],
        )
        if (hit.rowCount !== 0) found.add(name)
      }
    } finally {
      await client.end()
    }
  }
  return [...found]
}
