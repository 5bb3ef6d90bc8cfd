import type { Party } from './cast.ts'

/** A text for `/sql/v1`; `isRefused` where Postgres has to say no, the others may run and must find nothing. */
export type SqlAttack = { query: string; isRefused: boolean }

const refused = (query: string): SqlAttack => ({ query, isRefused: true })
const harmless = (query: string): SqlAttack => ({ query, isRefused: false })

/** What a tenant with SQL of its own tries against the machine, the platform and another tenant. */
export const SQL_ATTACKS = (victim: Party): SqlAttack[] => [
  // Another tenant's names, which are on another server.
  refused(`select * from ${victim.schema}.notes`),
  refused(`set role ${victim.schema}`),
  harmless(`select set_config('app.tenant_id', '${victim.tenant_id}', false); select * from notes`),
  harmless(`set search_path = ${victim.schema}; select current_schemas(true)`),
  harmless('select datname from pg_database'),
  harmless('select * from pg_stat_activity'),
  harmless('select * from pg_stats'),
  harmless('select nspname from pg_namespace; select rolname from pg_roles'),
  harmless('select * from pg_settings'),
  // Becoming somebody else.
  refused('set session authorization postgres'),
  refused('set role postgres'),
  refused('set role aerodb_mover'),
  refused('set role aerodb_replication'),
  refused('grant pg_read_all_data to current_user'),
  refused('alter role current_user bypassrls'),
  refused('create role x login superuser'),
  refused(`alter role aerodb_request password 'x'`),
  refused(`alter role aerodb_request set statement_timeout = 0`),
  harmless('reset all; reset role; reset session authorization; select current_user'),
  harmless('discard all; select current_user'),
  refused('set session_replication_role = replica'),
  refused(`set log_statement = 'all'`),
  // Files, programs and the network of the machine.
  refused(`copy (select 1) to program 'id'`),
  refused(`copy (select 1) to '/tmp/aerodb-attack'`),
  refused(`select pg_ls_dir('.')`),
  refused(`select pg_stat_file('postgresql.conf')`),
  refused(`select pg_read_binary_file('global/pg_control')`),
  refused(`select lo_export(lo_create(0), '/tmp/aerodb-attack')`),
  refused('select * from pg_hba_file_rules'),
  refused('select * from pg_file_settings'),
  refused('select pg_reload_conf()'),
  refused('select pg_rotate_logfile()'),
  refused('select pg_switch_wal()'),
  refused('checkpoint'),
  ...['dblink', 'postgres_fdw', 'file_fdw', 'adminpack', 'pg_stat_statements', 'plpython3u', 'pageinspect'].map(
    (name) => refused(`create extension ${name}`),
  ),
  refused('create foreign data wrapper f'),
  refused(`create subscription s connection 'host=127.0.0.1' publication p`),
  refused(`select pg_create_physical_replication_slot('s')`),
  refused(`select pg_create_logical_replication_slot('s', 'pgoutput')`),
  refused(
    'create event trigger e on ddl_command_start execute function pg_catalog.suppress_redundant_updates_trigger()',
  ),
  refused('drop event trigger aerodb_ddl'),
  refused('drop schema aerodb cascade'),
  refused('create or replace function aerodb.on_ddl() returns event_trigger language plpgsql as $$ begin end $$'),
  refused('alter database postgres set search_path = x'),
  refused("create tablespace t location '/tmp'"),
  // Disturbing who shares the server, or the login.
  refused(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres'`),
  harmless(`begin; set local statement_timeout = 0; set local lock_timeout = 0; commit`),
  harmless('begin; select 1/0'),
  harmless('rollback; commit; begin; abort'),
  // Left behind for whoever has the connection next.
  harmless('listen everything; notify everything; listen aerodb_ddl'),
  harmless("create temp table notes (title text); insert into notes values ('mine')"),
  harmless('prepare p as select 1; select pg_advisory_lock(1)'),
  harmless('declare c cursor with hold for select 1'),
  harmless(`set app.tenant_id = '${victim.tenant_id}'; set app.role = 'service_role'`),
  // Rights handed on by what runs as its owner.
  harmless(
    `create or replace function steal() returns text language sql security definer as $$ select current_user::text $$; select steal()`,
  ),
  harmless(`create or replace function peek(t text) returns boolean language plpgsql cost 0.0000001 as $$ begin raise notice '%', t; return true; end $$;
    select count(*) from notes where peek(title)`),
  harmless('create or replace view everything as select * from notes; select * from everything'),
  harmless('drop view if exists everything; drop function if exists peek(text); drop function if exists steal()'),
]
