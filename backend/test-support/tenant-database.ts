import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { makeId } from '../../runtime/ids.ts'
import { Sealer } from '../../runtime/seal.ts'
import type { ServerRecord } from '../../tenancy/server-record.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import { createDatabase } from '../../test/support/databases.ts'

export const ENCRYPTION_KEY = 'test-encryption-key-of-32-characters'

export type TestTenant = { tenantId: string; schema: string; name: string }

/**
 * A database server laid out as control's provisioner does it (see the README), in a database of its own on the run's
 * Postgres. Its logins have names of their own, because roles belong to the whole server, which other tests use too.
 */
export class TenantDatabase {
  readonly url: string
  readonly record: ServerRecord
  readonly #drop: () => Promise<void>
  readonly #roles: string[] = []
  readonly #requestLogin: string
  readonly #ddlLogin: string
  readonly #admin: pg.Client

  private constructor(url: string, drop: () => Promise<void>, suffix: string, admin: pg.Client, record: ServerRecord) {
    this.url = url
    this.#drop = drop
    this.#requestLogin = `aerodb_request_${suffix}`
    this.#ddlLogin = `aerodb_ddl_${suffix}`
    this.#roles.push(this.#requestLogin, this.#ddlLogin)
    this.#admin = admin
    this.record = record
  }

  static async create(serverName = 'shared-0'): Promise<TenantDatabase> {
    const { url, drop } = await createDatabase()
    const suffix = randomBytes(6).toString('hex')
    const admin = new pg.Client({ connectionString: url, application_name: 'tenant-database' })
    await admin.connect()
    await admin.query(setUp(`aerodb_request_${suffix}`, `aerodb_ddl_${suffix}`))
    const { hostname, port, pathname } = new URL(url)
    const record: ServerRecord = {
      server: serverName,
      version: 1,
      host: hostname,
      port: Number(port),
      database: pathname.slice(1),
      ...sealLogins(serverName, suffix),
      max_connections: 10,
      replicas: [],
    }
    return new TenantDatabase(url, drop, suffix, admin, record)
  }

  /** The logins as another server's record would carry them. */
  loginsFor(serverName: string): Pick<ServerRecord, 'request_login' | 'ddl_login'> {
    return sealLogins(serverName, this.#requestLogin.slice('aerodb_request_'.length))
  }

  /** Makes a tenant's role and schema: the first wall. */
  async addTenant(name = 'acme'): Promise<TestTenant> {
    const tenantId = makeId('ten')
    const schema = tenantSchemaName(tenantId)
    await this.#admin.query(`
      create role ${schema} nologin noinherit nobypassrls;
      grant ${schema} to ${this.#requestLogin} with inherit false, set true, admin false;
      create schema ${schema} authorization ${this.#ddlLogin};
      grant usage on schema ${schema} to ${schema};
      alter default privileges for role ${this.#ddlLogin} in schema ${schema}
        grant select, insert, update, delete on tables to ${schema};
      alter default privileges for role ${this.#ddlLogin} in schema ${schema} grant usage on sequences to ${schema};
      alter default privileges for role ${this.#ddlLogin} in schema ${schema} grant execute on functions to ${schema};
      alter default privileges for role ${this.#ddlLogin} in schema ${schema} grant usage on types to ${schema}`)
    this.#roles.push(schema)
    return { tenantId, schema, name }
  }

  /** Runs SQL as the server's administrator. */
  async asAdmin(sql: string): Promise<pg.QueryResult> {
    return this.#admin.query(sql)
  }

  /** Runs SQL as the schema's owner, so that what it makes gets the default privileges. */
  async asOwner(sql: string): Promise<void> {
    await this.#admin.query(`set role ${this.#ddlLogin}`)
    try {
      await this.#admin.query(sql)
    } finally {
      await this.#admin.query('reset role')
    }
  }

  /** Drops the database and its roles; fails when a connection was left open. */
  async drop(): Promise<void> {
    const admin = new URL(this.url)
    const database = admin.pathname.slice(1)
    await this.#admin.query(this.#roles.map((role) => `drop owned by ${role} cascade`).join('; '))
    await this.#admin.end()
    await this.#drop()
    admin.pathname = '/postgres'
    const client = new pg.Client({ connectionString: admin.href })
    await client.connect()
    try {
      await client.query(this.#roles.map((role) => `drop role ${role}`).join('; '))
    } catch (fault) {
      throw new Error(`Roles of ${database} were not dropped`, { cause: fault })
    } finally {
      await client.end()
    }
  }
}

function sealLogins(serverName: string, suffix: string): Pick<ServerRecord, 'request_login' | 'ddl_login'> {
  const sealer = new Sealer([ENCRYPTION_KEY])
  const login = (user: string) => ({ user, sealed_password: sealer.seal('secret', `server:${serverName}`) })
  return { request_login: login(`aerodb_request_${suffix}`), ddl_login: login(`aerodb_ddl_${suffix}`) }
}

function setUp(requestLogin: string, ddlLogin: string): string {
  return `
create role ${requestLogin} login noinherit nosuperuser nobypassrls nocreatedb nocreaterole noreplication password 'secret';
create role ${ddlLogin} login noinherit nosuperuser nobypassrls nocreatedb nocreaterole noreplication password 'secret';
do $$ begin
  execute format('revoke all on database %I from public', current_database());
  execute format('grant connect on database %I to ${requestLogin}, ${ddlLogin}', current_database());
end $$;
revoke all on schema public from public;
alter default privileges for role ${ddlLogin} revoke execute on functions from public;
alter default privileges for role ${ddlLogin} revoke usage on types from public;
create schema aerodb;
create function aerodb.on_ddl() returns event_trigger language plpgsql set search_path = pg_catalog as $$
declare command record;
begin
  for command in
    select distinct made.schema_name, class.oid::regclass as "table", class.relkind in ('r', 'p') as is_table,
           class.relrowsecurity and class.relforcerowsecurity as is_forced
    from pg_event_trigger_ddl_commands() made
    left join pg_class class on made.classid = 'pg_class'::regclass and class.oid = made.objid
    where made.schema_name like 't\\_%'
  loop
    if command.is_table and not command.is_forced then
      execute format('alter table %s enable row level security, force row level security', command."table");
    end if;
    perform pg_notify('aerodb_ddl', command.schema_name);
  end loop;
end $$;
create function aerodb.on_drop() returns event_trigger language plpgsql set search_path = pg_catalog as $$
declare name text;
begin
  for name in select distinct schema_name from pg_event_trigger_dropped_objects() where schema_name like 't\\_%'
  loop
    perform pg_notify('aerodb_ddl', name);
  end loop;
end $$;
create event trigger aerodb_ddl on ddl_command_end execute function aerodb.on_ddl();
create event trigger aerodb_drop on sql_drop execute function aerodb.on_drop();`
}
