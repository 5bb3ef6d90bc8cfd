import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeLogger } from '../../runtime/log.ts'
import { makePostgresPool, type PostgresPool } from '../../runtime/postgres-pool.ts'
import { Sealer } from '../../runtime/seal.ts'
import type { Isolation } from '../../tenancy/plan.ts'
import { parseServerRecord, type ServerRecord } from '../../tenancy/server-record.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import { TEST_SECRET, type TestControl } from './start-control.ts'
import { type World, withClient } from './world.ts'

const log = makeLogger('test', 'silent')

type Made = { tenantId: string; schema: string; record: ServerRecord; request: PostgresPool; ddl: PostgresPool }

/**
 * What every provisioner promises: what a tenant finds is the same on each, so it can be moved between them. To be called within a
 * `describe`, with a control and its world that are there once tests run.
 */
export function conformance(options: {
  isolation: Isolation
  plan: string
  world: () => World
  control: () => TestControl
  /** For all tenants to come up. */
  timeoutMs?: number
}): void {
  const { isolation, plan, world, control } = options
  let a: Made
  let b: Made

  beforeAll(async () => {
    a = await make(`${isolation}-a`)
    b = await make(`${isolation}-b`)
    for (const tenant of [a, b]) {
      await tenant.ddl.query(`create table ${tenant.schema}.notes (
        tenant_id text not null default current_setting('app.tenant_id'), id int primary key, body text)`)
      await tenant.ddl.query(`
        create policy tenant_isolation on ${tenant.schema}.notes as restrictive for all
          using (tenant_id = current_setting('app.tenant_id')) with check (tenant_id = current_setting('app.tenant_id'));
        create policy service on ${tenant.schema}.notes for all
          using (current_setting('app.role') = 'service_role') with check (current_setting('app.role') = 'service_role')`)
      await asTenant(
        tenant,
        tenant,
        `insert into ${tenant.schema}.notes (id, body) values (1, 'of ${tenant.tenantId}')`,
      )
    }
  }, options.timeoutMs)

  afterAll(async () => {
    for (const tenant of [a, b]) await Promise.all([tenant.request.end(), tenant.ddl.end()])
  })

  async function make(name: string): Promise<Made> {
    const created = await control().call('POST', '/v1/tenants', { body: { name, isolation, plan } })
    expect(created.status).toBe(201)
    const tenantId = created.body.tenant_id as string
    const rows = await withClient(world().databaseUrl, (client) =>
      client.query<{ server: string }>('select server from control.tenants where tenant_id = $1', [tenantId]),
    )
    const record = await readServerRecord(world(), rows.rows[0]?.server ?? '')
    return {
      tenantId,
      schema: tenantSchemaName(tenantId),
      record,
      request: loginPool(record, record.request_login),
      ddl: loginPool(record, record.ddl_login),
    }
  }

  test('a tenant reads and writes its own rows', async () => {
    expect(await asTenant(a, a, `select body from ${a.schema}.notes`)).toEqual([{ body: `of ${a.tenantId}` }])
  })

  test('the first wall: its role cannot reach another schema, whatever tenant it claims to be', async () => {
    for (const claimed of [a, b])
      await expect(asTenant(a, claimed, `select * from ${b.schema}.notes`)).rejects.toThrow(
        /permission denied|does not exist/,
      )
  })

  test('the second wall: with the first one gone, forced row security still shows no row', async () => {
    const admin = adminUrl(b)
    if (admin === undefined) return
    await withClient(admin, async (client) => {
      await client.query(
        `grant usage on schema ${b.schema} to ${a.schema}; grant all on ${b.schema}.notes to ${a.schema}`,
      )
      try {
        expect(await asTenant(a, a, `select * from ${b.schema}.notes`)).toEqual([])
        await expect(asTenant(a, a, `insert into ${b.schema}.notes values ('${b.tenantId}', 9, 'x')`)).rejects.toThrow(
          'row-level security',
        )
      } finally {
        await client.query(
          `revoke all on ${b.schema}.notes from ${a.schema}; revoke all on schema ${b.schema} from ${a.schema}`,
        )
      }
    })
  })

  test('row security is enabled and forced on every table, and the schema login cannot lift it', async () => {
    await a.ddl.query(`create table ${a.schema}.bare (id int)`)
    await a.ddl.query(`alter table ${a.schema}.bare no force row level security`)
    await a.ddl.query(`alter table ${a.schema}.bare disable row level security`)
    const rows = await a.ddl.query(
      'select relname, relrowsecurity, relforcerowsecurity from pg_class where relnamespace = $1::regnamespace and relkind = $2 order by 1',
      [a.schema, 'r'],
    )
    expect(rows.rows).toEqual([
      { relname: 'bare', relrowsecurity: true, relforcerowsecurity: true },
      { relname: 'notes', relrowsecurity: true, relforcerowsecurity: true },
    ])
    // No policy: nothing is shown, nothing is taken.
    expect(await asTenant(a, a, `select * from ${a.schema}.bare`)).toEqual([])
    await expect(asTenant(a, a, `insert into ${a.schema}.bare values (1)`)).rejects.toThrow('row-level security')
  })

  test('the request login by itself can do nothing, and no login is more than it needs to be', async () => {
    await expect(a.request.query(`select * from ${a.schema}.notes`)).rejects.toThrow('permission denied')
    await expect(a.request.query('create temporary table x (i int)')).rejects.toThrow('permission denied')
    await expect(a.request.query('create table public.x (i int)')).rejects.toThrow(/permission denied|no schema/)
    await expect(a.request.query('set role aerodb_ddl')).rejects.toThrow('permission denied')
    await expect(a.request.query('set role postgres')).rejects.toThrow('permission denied')
    const roles = await a.request.query(
      `select rolname from pg_roles where rolname in ('aerodb_request', 'aerodb_ddl', $1)
       and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication or rolinherit)`,
      [a.schema],
    )
    expect(roles.rows).toEqual([])
  })

  test('a change of the schema is announced', async () => {
    const heard: (string | undefined)[] = []
    const listener = await a.request.connect()
    try {
      listener.on('notification', (message) => heard.push(message.payload))
      await listener.query('listen aerodb_ddl')
      await a.ddl.query(`create table ${a.schema}.announced (id int)`)
      await a.ddl.query(`drop table ${a.schema}.announced`)
      await listener.query('select 1')
      expect(heard.filter((schema) => schema === a.schema).length).toBeGreaterThanOrEqual(2)
    } finally {
      await listener.query('unlisten *')
      listener.release()
    }
  })

  /** Runs a statement as the backend does: as the tenant's role, with the context of the tenant `claimed`. */
  async function asTenant(tenant: Made, claimed: Made, sql: string): Promise<unknown[]> {
    const client = await tenant.request.connect()
    try {
      await client.query('begin')
      await client.query(
        `select set_config('role', $1, true), set_config('app.tenant_id', $2, true), set_config('app.role', $3, true)`,
        [tenant.schema, claimed.tenantId, 'service_role'],
      )
      const result = await client.query(sql)
      await client.query('commit')
      return result.rows
    } catch (fault) {
      await client.query('rollback')
      throw fault
    } finally {
      client.release()
    }
  }

  /** Only where two tenants share a server is there a wall to take away. */
  function adminUrl(tenant: Made): string | undefined {
    return tenant.record.server.startsWith('shared-') ? world().sharedUrl : undefined
  }
}

async function readServerRecord(world: World, server: string): Promise<ServerRecord> {
  const { Redis } = await import('ioredis')
  const redis = new Redis(world.redis.url)
  try {
    const document = await redis.hget(`aerodb:directory:server:{${server}}`, 'document')
    return parseServerRecord(document ?? '')
  } finally {
    redis.disconnect()
  }
}

function loginPool(record: ServerRecord, login: ServerRecord['request_login']): PostgresPool {
  const password = new Sealer([TEST_SECRET]).open(login.sealed_password, `server:${record.server}`)
  const url = `postgres://${login.user}:${password}@${record.host}:${record.port}/${record.database}`
  return makePostgresPool({ url, applicationName: 'conformance', maxConnections: 2, log })
}
