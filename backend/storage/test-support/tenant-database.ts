import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { makeId } from '../../../runtime/ids.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { RequestContext, TenantRole } from '../../../tenancy/request-context.ts'
import { tenantSchemaName } from '../../../tenancy/tenant.ts'
import { createDatabase } from '../../../test/support/databases.ts'
import { contextStatement } from '../../postgres/principal.ts'
import { ServerPool } from '../../postgres/server-pool.ts'
import type { StatementExecutor } from '../session.ts'

export type TestTenant = { tenantId: string; schema: string }

/** A context of `tenant` as the gateway signs it, without limits. */
export function contextOf(tenant: TestTenant, role: TenantRole): RequestContext {
  return {
    tenant_id: tenant.tenantId,
    name: 'test',
    isolation: 'schema',
    placement: { server: 'test', schema: tenant.schema, role: tenant.schema },
    role,
    key_id: null,
    claims: null,
    quotas: { storage_bytes: null, file_storage_bytes: null },
    expires_at: Date.now() + 60_000,
  }
}

/** Where a process finds the database: what a child process of a test is told. */
export type DatabaseAddress = { url: string; requestUser: string; ddlUser: string; password: string }

/** A database in the layout of the shared tier, made as control's provisioner makes it, with roles of the test's own. */
export class TenantDatabase {
  readonly address: DatabaseAddress
  readonly admin: pg.Client
  readonly #drop: () => Promise<void>
  readonly #roles: string[]

  private constructor(address: DatabaseAddress, admin: pg.Client, drop: () => Promise<void>) {
    this.address = address
    this.admin = admin
    this.#drop = drop
    this.#roles = [address.requestUser, address.ddlUser]
  }

  static async create(): Promise<TenantDatabase> {
    const { url, drop } = await createDatabase()
    const admin = new pg.Client({ connectionString: url })
    await admin.connect()
    const suffix = randomBytes(4).toString('hex')
    const address = { url, requestUser: `req_${suffix}`, ddlUser: `ddl_${suffix}`, password: 'test' }
    const database = new TenantDatabase(address, admin, drop)
    for (const role of [address.requestUser, address.ddlUser])
      await admin.query(`create role ${role} login noinherit nobypassrls password '${address.password}'`)
    await admin.query('revoke all on schema public from public')
    return database
  }

  async createTenant(): Promise<TestTenant> {
    const tenantId = makeId('ten')
    const schema = tenantSchemaName(tenantId)
    const { requestUser, ddlUser } = this.address
    await this.admin.query(`create role ${schema} nologin`)
    await this.admin.query(`grant ${schema} to ${requestUser} with inherit false, set true`)
    await this.admin.query(`create schema ${schema} authorization ${ddlUser}`)
    await this.admin.query(`grant usage on schema ${schema} to ${schema}`)
    await this.admin.query(
      `alter default privileges for role ${ddlUser} in schema ${schema} grant select, insert, update, delete on tables to ${schema}`,
    )
    this.#roles.push(schema)
    return { tenantId, schema }
  }

  async close(): Promise<void> {
    await this.admin.end()
    await this.#drop()
    await withAdmin(this.address.url, async (client) => {
      for (const role of this.#roles.toReversed()) await client.query(`drop role ${role}`)
    })
  }
}

/** The backend's own pools on such a database. */
export function openExecutor(address: DatabaseAddress, log: Logger): StatementExecutor & { close(): Promise<void> } {
  const { hostname, port, pathname } = new URL(address.url)
  const pool = (user: string) =>
    new ServerPool({
      server: 'test',
      target: { host: hostname, port: Number(port), database: pathname.slice(1), user, password: address.password },
      applicationName: 'storage-test',
      maxConnections: 6,
      statementTimeoutMs: 20_000,
      maxPreparedStatements: 100,
      maxInFlightPerConnection: 4,
      slowHeadMs: 20,
      maxInFlightPerTag: 24,
      maxWaiting: 1_000,
      maxWaitMs: 20_000,
      idleConnectionMs: 60_000,
      maxConnectionAgeMs: 600_000,
      log,
    })
  const requests = pool(address.requestUser)
  const ddl = pool(address.ddlUser)
  return {
    run: (_server, principal, statements) =>
      requests.run(principal.tenantId, [contextStatement(principal), ...statements]),
    define: async (_server, principal, statements) => {
      await ddl.run(principal.tenantId, statements)
    },
    close: async () => {
      await Promise.all([requests.close(), ddl.close()])
    },
  }
}

async function withAdmin(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const address = new URL(url)
  address.pathname = '/postgres'
  const client = new pg.Client({ connectionString: address.href })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
