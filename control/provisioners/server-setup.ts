import type { Queryable } from '../stores/change.ts'
import { makeScramVerifier } from './scram-verifier.ts'

/** The logins of a server that backends use; the passwords are open here and sealed everywhere else. */
export type ServerLogins = { requestPassword: string; ddlPassword: string }

/**
 * Applies the changes of a tenant that moves here: it passes row level security, for it brings rows of which the policies were
 * asked already, and has rights on the tables of tenants that are on their way, for that time only. It has no password.
 */
export const MOVER = 'aerodb_mover'

/** SQLSTATE of a command that would change a schema which is being moved; backends tell it as 503. */
export const MOVING_SQLSTATE = 'AD001'

/** What a server is, wherever it is reached: its system identifier and the database. */
export async function readServerIdentity(
  db: Queryable,
): Promise<{ system: string; database: string; maxConnections: number }> {
  const result = await db.query<{ system: string; database: string; max_connections: number }>(
    `select system_identifier::text as system, current_database() as database,
            current_setting('max_connections')::int as max_connections
     from pg_control_system()`,
  )
  const row = result.rows[0]
  if (row === undefined) throw new Error('unreachable')
  return { system: row.system, database: row.database, maxConnections: row.max_connections }
}

/**
 * Prepares a server to carry tenants; repeated on every start, so that a server restored from a backup is brought into
 * order again. Lays down what is common to all tenants:
 * - the two logins, with limits that keep one tenant from starving the others;
 * - PUBLIC has nothing, neither in the database nor in schema `public`;
 * - every table that comes to lie in a tenant's schema has row level security enabled and forced by an event trigger: a
 *   table without policies shows nothing, and the schema API's login cannot lift it;
 * - the login that reads the stream of changes for realtime has no right on any row; it has the schema API's password, as the
 *   same processes hold both; the schema API's login puts tables into the publication when somebody first listens to them;
 * - each DDL command in a tenant's schema is announced on channel `aerodb_ddl`, and refused while the tenant is being moved;
 * - what moving needs (control/moving): the mover, and the marks that travel with a tenant's changes.
 */
export async function setUpServer(db: Queryable, logins: ServerLogins): Promise<void> {
  const requestVerifier = makeScramVerifier(logins.requestPassword)
  const ddlVerifier = makeScramVerifier(logins.ddlPassword)
  // One batch, which Postgres runs as one transaction. Verifiers hold base64, `$` and `:` only.
  await db.query(`
    select pg_advisory_xact_lock(hashtext('aerodb.server-setup'));
    ${LOGINS}
    alter role aerodb_request login noinherit nosuperuser nobypassrls nocreatedb nocreaterole noreplication
      password '${requestVerifier}';
    alter role aerodb_ddl login noinherit nosuperuser nobypassrls nocreatedb nocreaterole noreplication
      password '${ddlVerifier}';
    alter role aerodb_replication login replication noinherit nosuperuser nobypassrls nocreatedb nocreaterole
      password '${ddlVerifier}';
    alter role ${MOVER} login bypassrls noinherit nosuperuser nocreatedb nocreaterole noreplication password null;
    ${DATABASE}
    ${MOVING}`)
}

const LOGINS = `
do $$ begin
  if not exists (select from pg_roles where rolname = 'aerodb_request') then create role aerodb_request; end if;
  if not exists (select from pg_roles where rolname = 'aerodb_ddl') then create role aerodb_ddl; end if;
  if not exists (select from pg_roles where rolname = 'aerodb_replication') then create role aerodb_replication; end if;
  if not exists (select from pg_roles where rolname = '${MOVER}') then create role ${MOVER}; end if;
end $$;
alter role aerodb_request set statement_timeout = '30s';
alter role aerodb_request set lock_timeout = '10s';
alter role aerodb_request set idle_in_transaction_session_timeout = '15s';
alter role aerodb_request set temp_file_limit = '1GB';
alter role aerodb_request set work_mem = '4MB';
alter role aerodb_request set hash_mem_multiplier = 1;
alter role aerodb_request set search_path = 'pg_catalog';
alter role aerodb_ddl set statement_timeout = '120s';
alter role aerodb_ddl set lock_timeout = '10s';
alter role aerodb_ddl set idle_in_transaction_session_timeout = '15s';
alter role aerodb_ddl set search_path = 'pg_catalog';
`

/**
 * In a trigger on DDL: refuses what a tenant would change while it is being moved, which its schema's comment says. Control
 * itself comes under another login. Not a function of its own, as the caller's role reaches none in schema `aerodb`.
 */
function refuseWhileMoving(schema: string): string {
  return `if session_user = 'aerodb_ddl' and exists (
      select from pg_namespace where nspname = ${schema} and obj_description(oid, 'pg_namespace') like 'aerodb: mov%')
    then
      raise exception 'the tables of this tenant cannot be changed while it is being moved' using errcode = '${MOVING_SQLSTATE}';
    end if;`
}

const DATABASE = `
do $$
declare
  name text;
begin
  -- Nor does a login of ours come into the databases that every server has.
  for name in select datname from pg_database where datname in (current_database(), 'postgres', 'template1') loop
    execute format('revoke all on database %I from public', name);
  end loop;
  execute format('grant connect on database %I to aerodb_request, aerodb_ddl', current_database());
end $$;
revoke all on schema public from public;
alter default privileges for role aerodb_ddl revoke execute on functions from public;
alter default privileges for role aerodb_ddl revoke usage on types from public;
create schema if not exists aerodb;

do $$ begin
  execute format('grant connect on database %I to aerodb_replication', current_database());
  if not exists (select from pg_publication where pubname = 'aerodb_realtime') then create publication aerodb_realtime; end if;
end $$;
alter publication aerodb_realtime owner to aerodb_ddl;

create or replace function aerodb.on_ddl() returns event_trigger language plpgsql set search_path = pg_catalog as $$
declare
  command record;
begin
  for command in
    select distinct made.schema_name, class.oid::regclass as "table", class.relkind in ('r', 'p') as is_table,
           class.relrowsecurity and class.relforcerowsecurity as is_forced
    from pg_event_trigger_ddl_commands() made
    left join pg_class class on made.classid = 'pg_class'::regclass and class.oid = made.objid
    where made.schema_name like 't\\_%'
  loop
    ${refuseWhileMoving('command.schema_name')}
    if command.is_table and not command.is_forced then
      execute format('alter table %s enable row level security, force row level security', command."table");
    end if;
    perform pg_notify('aerodb_ddl', command.schema_name);
  end loop;
end $$;

create or replace function aerodb.on_drop() returns event_trigger language plpgsql set search_path = pg_catalog as $$
declare
  name text;
begin
  for name in
    select distinct schema_name from pg_event_trigger_dropped_objects() where schema_name like 't\\_%'
  loop
    ${refuseWhileMoving('name')}
    perform pg_notify('aerodb_ddl', name);
  end loop;
end $$;

do $$ begin
  if not exists (select from pg_event_trigger where evtname = 'aerodb_ddl') then
    create event trigger aerodb_ddl on ddl_command_end execute function aerodb.on_ddl();
  end if;
  if not exists (select from pg_event_trigger where evtname = 'aerodb_drop') then
    create event trigger aerodb_drop on sql_drop execute function aerodb.on_drop();
  end if;
end $$;
`

const MOVING = `
create table if not exists aerodb.move_marks (move text not null, mark text not null, primary key (move, mark));
do $$ begin
  execute format('grant connect on database %I to ${MOVER}', current_database());
end $$;
grant usage on schema aerodb to ${MOVER};
grant select, insert, delete on aerodb.move_marks to ${MOVER};

-- A follower stops at a mark of this kind for as long as control holds the lock: see moving/marks.ts.
create or replace function aerodb.on_mark() returns trigger language plpgsql set search_path = pg_catalog as $$
begin
  if new.mark like 'stop-%' then
    perform pg_advisory_xact_lock(hashtextextended('aerodb.move:' || new.move, 0));
  end if;
  return new;
end $$;
do $$ begin
  if not exists (select from pg_trigger where tgname = 'on_mark' and tgrelid = 'aerodb.move_marks'::regclass) then
    create trigger on_mark before insert on aerodb.move_marks for each row execute function aerodb.on_mark();
    -- For what a follower brings, and for nothing else.
    alter table aerodb.move_marks enable replica trigger on_mark;
  end if;
end $$;
`
