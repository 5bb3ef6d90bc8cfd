import { randomBytes } from 'node:crypto'
import { systemClock } from '../../../runtime/clock.ts'
import type { RedisClient } from '../../../runtime/redis.ts'
import { Sealer } from '../../../runtime/seal.ts'
import { DirectoryPublisher } from '../../../tenancy/directory-publisher.ts'
import { DirectoryReader } from '../../../tenancy/directory-reader.ts'
import { parseServerRecord, type ServerRecord } from '../../../tenancy/server-record.ts'
import { Servers } from '../../postgres/servers.ts'
import { ENCRYPTION_KEY, TenantDatabase } from '../../test-support/tenant-database.ts'
import { Changes } from '../changes/changes.ts'
import type { Bus } from '../channels/bus.ts'
import type { ChangesPort } from '../channels/changes-port.ts'
import { makeTenant, silent, type TestTenant } from './realtime-harness.ts'

/** A database server with what realtime needs of it besides: the replication login and the publication. */
export class ChangesDatabase {
  readonly database: TenantDatabase
  readonly #replicationLogin: string
  readonly record: ServerRecord

  private constructor(database: TenantDatabase, replicationLogin: string) {
    this.database = database
    this.#replicationLogin = replicationLogin
    const { request_login: login, ...rest } = database.record
    this.record = {
      ...rest,
      request_login: login,
      replication_login: { user: replicationLogin, sealed_password: login.sealed_password },
    }
  }

  static async create(): Promise<ChangesDatabase> {
    const database = await TenantDatabase.create()
    const login = `aerodb_replication_${randomBytes(6).toString('hex')}`
    await database.asAdmin(`
      create role ${login} login noinherit nosuperuser nobypassrls nocreatedb nocreaterole replication password 'secret';
      do $$ begin execute format('grant connect on database %I to ${login}', current_database()); end $$;
      create publication aerodb_realtime;
      alter publication aerodb_realtime owner to ${database.record.ddl_login.user}`)
    return new ChangesDatabase(database, login)
  }

  /** A tenant with a place here. */
  async addTenant(name: string): Promise<TestTenant> {
    const { tenantId, schema } = await this.database.addTenant(name)
    return makeTenant(name, { placement: { server: this.record.server, schema, role: schema } }, tenantId)
  }

  /** Makes a table as the schema API does: our column, both walls, and a policy. */
  async addTable(tenant: TestTenant, name: string, columns: string, policy: string): Promise<void> {
    const table = `${tenant.snapshot.placement?.schema}.${name}`
    const wall = `tenant_id = current_setting('app.tenant_id')`
    await this.database.asOwner(`
      create table ${table} (${columns}, tenant_id text not null default current_setting('app.tenant_id'));
      alter table ${table} enable row level security, force row level security;
      create policy tenant_isolation on ${table} as restrictive for all using (${wall}) with check (${wall});
      ${policy === '' ? '' : `create policy readers on ${table} for select using (${policy});`}`)
  }

  /** Writes as the administrator, whom no policy binds, for a tenant. */
  async write(tenant: TestTenant, ...statements: string[]): Promise<void> {
    const schema = tenant.snapshot.placement?.schema
    // Several statements in one message are one transaction. The stream tells what is flushed: the run's server would otherwise
    // take its time.
    await this.database.asAdmin(
      `set local synchronous_commit = on; set local search_path = ${schema}; set local app.tenant_id = '${tenant.id}'; ${statements.join('; ')}`,
    )
  }

  /** For `TestBackend`'s option of this name. */
  readonly makeChanges = (bus: Bus, redis: RedisClient): ChangesPort & { close(): Promise<void> } => {
    const directory = new DirectoryReader<ServerRecord>({
      kind: 'server',
      redis,
      subscriber: redis,
      parse: parseServerRecord,
      versionOf: (record) => record.version,
      maxEntries: 10,
      clock: systemClock,
      log: silent,
    })
    const sealer = new Sealer([ENCRYPTION_KEY])
    const servers = new Servers({
      directory,
      sealer,
      limits: {
        maxPreparedStatements: 100,
        maxInFlightPerConnection: 8,
        slowHeadMs: 100,
        maxInFlightPerTag: 64,
        maxWaiting: 1_000,
        maxWaitMs: 5_000,
        idleConnectionMs: 30_000,
        maxConnectionAgeMs: 600_000,
      },
      maxConnectionsPerServer: 4,
      statementTimeoutMs: 8_000,
      ddlStatementTimeoutMs: 30_000,
      idleServerMs: 60_000,
      onSchemaChange: (server, schema) => changes.schemaChanged(server, schema),
      onGap: () => {},
      log: silent,
    })
    const changes: Changes = new Changes({ bus, redis, servers, directory, sealer, pollMs: 50, log: silent })
    return {
      subscribe: (subscriber, bindings) => changes.subscribe(subscriber, bindings),
      schemaChanged: (server, schema) => changes.schemaChanged(server, schema),
      close: async () => {
        await changes.close()
        await servers.close()
      },
    }
  }

  async publish(redis: RedisClient): Promise<void> {
    const { server, version } = this.record
    await new DirectoryPublisher(redis).publish('server', server, version, JSON.stringify(this.record))
  }

  async drop(): Promise<void> {
    await this.database.asAdmin(`drop owned by ${this.#replicationLogin}; drop role ${this.#replicationLogin}`)
    await this.database.drop()
  }
}
