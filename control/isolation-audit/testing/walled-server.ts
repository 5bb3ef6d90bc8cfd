import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFreePort } from '../../../runtime/free-port.ts'
import { makeId } from '../../../runtime/ids.ts'
import { makeLogger } from '../../../runtime/log.ts'
import { makePostgresPool, type PostgresPool } from '../../../runtime/postgres-pool.ts'
import { PostgresServer } from '../../../runtime/postgres-server.ts'
import { tenantSchemaName } from '../../../tenancy/tenant.ts'
import { setUpServer } from '../../provisioners/server-setup.ts'
import { createTenantSchema } from '../../provisioners/tenant-schema.ts'
import type { AuditedServer } from '../audit-server.ts'

export type WalledTenant = { tenantId: string; schema: string }

/** A Postgres of the test's own, as roles belong to a whole server, with the walls as control lays them down. */
export class WalledServer {
  readonly pool: PostgresPool
  readonly #server: PostgresServer
  readonly #directory: string
  #hba: string | undefined

  constructor(server: PostgresServer, directory: string) {
    this.#server = server
    this.#directory = directory
    const log = makeLogger('test', 'silent')
    this.pool = makePostgresPool({ url: server.url('shared'), applicationName: 'test', maxConnections: 2, log })
  }

  /** @param settings of the server, beside the test's own. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<WalledServer> {
    const directory = await mkdtemp(join(tmpdir(), 'aerodb-audit-'))
    await chmod(directory, 0o711)
    const server = new PostgresServer({
      directory: join(directory, 'postgres'),
      port: await findFreePort(),
      password: 'test',
      settings: {
        fsync: 'off',
        synchronous_commit: 'off',
        full_page_writes: 'off',
        shared_buffers: '64MB',
        wal_level: 'logical',
        autovacuum: 'off',
        max_locks_per_transaction: '256',
        ...settings,
      },
    })
    await server.start()
    const log = makeLogger('test', 'silent')
    const admin = makePostgresPool({ url: server.url(), applicationName: 'test', maxConnections: 1, log })
    await admin.query('create database shared')
    await admin.query('revoke all on database postgres, template1 from public')
    await admin.end()
    const walled = new WalledServer(server, directory)
    await setUpServer(walled.pool, { requestPassword: 'request', ddlPassword: 'ddl' })
    return walled
  }

  poolAs(user: string, password: string): PostgresPool {
    const url = new URL(this.#server.url('shared'))
    url.username = user
    url.password = password
    const log = makeLogger('test', 'silent')
    return makePostgresPool({ url: url.href, applicationName: 'test', maxConnections: 1, log })
  }

  /** A tenant with one collection `todos`, as the schema API makes it. */
  async addTenant(): Promise<WalledTenant> {
    const tenantId = makeId('ten')
    const schema = tenantSchemaName(tenantId)
    await createTenantSchema(this.pool, tenantId)
    await this.addTable(schema, 'todos')
    return { tenantId, schema }
  }

  async addTable(schema: string, name: string): Promise<void> {
    await this.pool.query(`begin; set local role aerodb_ddl; ${tableSql(schema, name)}; commit`)
  }

  /** Many tenants with so many small tables each. The event triggers would do what the statements do already. */
  async addTenants(count: number, tables: number): Promise<void> {
    for (let done = 0; done < count; done += 20) {
      const ids = Array.from({ length: Math.min(20, count - done) }, () => makeId('ten'))
      for (const id of ids) await createTenantSchema(this.pool, id)
      const statements = ids.flatMap((id) =>
        Array.from({ length: tables }, (_, i) => {
          const table = `${tenantSchemaName(id)}.table_${i}`
          return `create table ${table} (tenant_id text not null default current_setting('app.tenant_id'));${wallSql(table)}`
        }),
      )
      const owner = 'set local event_triggers = off; set local role aerodb_ddl'
      await this.pool.query(`begin; ${owner}; ${statements.join(';')}; commit`)
    }
  }

  /** Puts one line below what `pg_hba.conf` had at first; the view of it reads the file itself. */
  async appendHba(line: string): Promise<void> {
    const file = join(this.#directory, 'postgres', 'pg_hba.conf')
    this.#hba ??= await readFile(file, 'utf8')
    await writeFile(file, `${this.#hba}\n${line}\n`)
  }

  /** The same server as if it were a tenant's own. */
  get asOwn(): AuditedServer {
    return {
      name: makeId('ten'),
      isOwn: true,
      withClient: async (work) => {
        const client = await this.pool.connect()
        try {
          return await work(client)
        } finally {
          client.release()
        }
      },
    }
  }

  /** The administrator's. */
  get url(): string {
    return this.#server.url('shared')
  }

  async stop(): Promise<void> {
    await this.pool.end()
    await this.#server.stop()
    await rm(this.#directory, { recursive: true, force: true })
  }
}

/** A table as the schema API makes it. */
function tableSql(schema: string, name: string): string {
  const table = `${schema}.${name}`
  return `create table ${table} (id bigint generated by default as identity primary key, title text,
      tenant_id text not null default current_setting('app.tenant_id'));
    ${wallSql(table)};
    create policy aerodb_none on ${table} for all using (true) with check (true)`
}

function wallSql(table: string): string {
  const wall = `tenant_id = current_setting('app.tenant_id')`
  return `alter table ${table} enable row level security, force row level security;
    create policy tenant_isolation on ${table} as restrictive for all using (${wall}) with check (${wall})`
}
