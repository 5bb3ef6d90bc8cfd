import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TenantDatabase, type TestTenant } from '../test-support/tenant-database.ts'
import { TestBackend } from '../test-support/test-backend.ts'

/**
 * The API taken away: every statement here runs as one tenant's role on the login of requests itself, as text that had got into SQL
 * would. What becoming another role would bring is not held back there, as the login may become every tenant: see SECURITY.md.
 */
let database: TenantDatabase
let backend: TestBackend
let attacker: TestTenant
let victim: TestTenant
let login: pg.Client

const CANARY = 'canary-of-the-victim'

beforeAll(async () => {
  database = await TenantDatabase.create()
  backend = await TestBackend.start([database.record])
  ;[attacker, victim] = [await database.addTenant('attacker'), await database.addTenant('victim')]
  for (const tenant of [attacker, victim]) {
    const columns = [{ name: 'title', type: 'text', unique: true }]
    await backend.call(tenant, '/schema/v1/collections', { body: { name: 'notes', columns } })
  }
  await backend.call(victim, '/rest/v1/notes', { body: { title: CANARY } })
  const { schema } = victim
  await database.asAdmin(`analyze ${schema}.notes`)
  // What the schema API makes for nobody, and a tenant's administrator might.
  await database.asOwner(`
    create table ${schema}.parts (title text, tenant_id text not null default '${victim.tenantId}') partition by list (title);
    create table ${schema}.part partition of ${schema}.parts default;
    alter table ${schema}.parts enable row level security, force row level security;
    alter table ${schema}.part enable row level security, force row level security;
    create materialized view ${schema}.copied as select '${CANARY}'::text as title;
    create statistics ${schema}.known on title, tenant_id from ${schema}.notes`)
  await database.asAdmin(`select lo_from_bytea(4711, '${CANARY}'); alter large object 4711 owner to ${schema}`)
  const { host, port, database: name, request_login } = database.record
  login = new pg.Client({ host, port, database: name, user: request_login.user, password: 'secret' })
  login.on('error', () => {})
  await login.connect()
})

afterAll(async () => {
  await login?.end()
  await database?.asAdmin('select lo_unlink(4711)')
  await backend?.stop()
  await database?.drop()
})

/** Runs one statement as the attacker's request would, and tells its rows, or its error with every field of it. */
async function asAttacker(sql: string): Promise<{ code: string; text: string }> {
  await login.query('begin')
  try {
    await login.query(
      `select set_config('role', $1, true), set_config('app.tenant_id', $2, true), set_config('app.role', 'service_role', true)`,
      [attacker.schema, attacker.tenantId],
    )
    const result = await login.query(sql.replaceAll('VICTIM', victim.schema).replaceAll('OWN', attacker.schema))
    return { code: '', text: JSON.stringify(result) }
  } catch (fault) {
    const { code = '', message, detail, hint, where } = fault as pg.DatabaseError
    return { code, text: JSON.stringify({ message, detail, hint, where }) }
  } finally {
    await login.query('rollback')
  }
}

/** SQLSTATE 42501: no right to it. */
const FORBIDDEN: Record<string, string[]> = {
  'rows and counts': [
    'select * from VICTIM.notes',
    'select count(*) from VICTIM.notes',
    'table VICTIM.notes',
    'explain select * from VICTIM.notes',
    'explain (analyze, verbose) select count(*) from VICTIM.notes where id = 1',
    `insert into VICTIM.notes (title) values ('x') on conflict do nothing`,
    `update VICTIM.notes set title = 'x'`,
    'delete from VICTIM.notes',
    `merge into VICTIM.notes using (select 1 as one) x on id = one when matched then delete`,
    'lock table VICTIM.notes',
    'select * from VICTIM.notes for update',
    'declare c cursor for select * from VICTIM.notes',
    'prepare p as select * from VICTIM.notes',
    `select table_to_xml('VICTIM.notes', true, true, '')`,
    `select query_to_xml('select * from VICTIM.notes', true, true, '')`,
    `select has_table_privilege('VICTIM.notes', 'select') and (select true from VICTIM.notes)`,
    `select pg_get_serial_sequence('VICTIM.notes', 'id')`,
    `select pg_relation_size('VICTIM.notes')`,
    `select 'VICTIM.notes'::regclass`,
    'truncate VICTIM.notes',
    'truncate OWN.notes',
  ],
  'partitions and materialized views': [
    'select * from VICTIM.parts',
    'select * from VICTIM.part',
    'select * from VICTIM.copied',
    'refresh materialized view VICTIM.copied',
    'create materialized view OWN.m as select 1',
    'alter table OWN.notes inherit VICTIM.notes',
    'create table OWN.p partition of VICTIM.parts for values in (1)',
  ],
  sequences: [
    `select nextval('VICTIM.notes_id_seq')`,
    `select currval('VICTIM.notes_id_seq')`,
    `select setval('VICTIM.notes_id_seq', 1)`,
    'select last_value from VICTIM.notes_id_seq',
  ],
  'statistics and what runs': [
    'select * from pg_statistic',
    'select * from pg_statistic_ext_data',
    'select * from pg_authid',
    'select * from pg_user_mapping',
    'select * from pg_subscription',
    'select * from pg_hba_file_rules',
    'select pg_stat_reset()',
    `select pg_terminate_backend(pid) from pg_stat_activity where usename = session_user and pid <> pg_backend_pid()`,
    `select pg_cancel_backend(pid) from pg_stat_activity where usename = 'postgres'`,
  ],
  'large objects, files and programs': [
    'select lo_get(4711)',
    `select lo_put(4711, 0, 'x')`,
    'select lo_unlink(4711)',
    'select data from pg_largeobject',
    `select lo_export(4711, '/tmp/aerodb-attack')`,
    `select lo_import('/etc/passwd')`,
    'copy VICTIM.notes to stdout',
    `copy VICTIM.notes to '/tmp/aerodb-attack'`,
    `copy OWN.notes from program 'id'`,
    `select pg_read_file('PG_VERSION')`,
    `select pg_ls_dir('.')`,
  ],
  'ways out and in': [
    'create extension dblink',
    'create extension postgres_fdw',
    'create extension pg_stat_statements',
    'create foreign data wrapper f',
    'create event trigger e on ddl_command_end execute function pg_catalog.suppress_redundant_updates_trigger()',
    'create publication p for all tables',
    `create subscription s connection 'host=127.0.0.1' publication p`,
    `select pg_create_logical_replication_slot('s', 'pgoutput')`,
    `select pg_logical_emit_message(false, 'aerodb', 'x') from pg_create_physical_replication_slot('s')`,
  ],
  'things of its own': [
    'create temp table notes (title text)',
    'create table OWN.t (a int)',
    'create table public.t (a int)',
    'create schema s',
    `create function OWN.f() returns text language sql security definer as 'select current_user::text'`,
    'create view OWN.v as select * from OWN.notes',
    'alter table OWN.notes disable row level security',
    'drop policy tenant_isolation on OWN.notes',
    'alter role OWN bypassrls',
    'create trigger t before insert on OWN.notes execute function suppress_redundant_updates_trigger()',
    'set session_replication_role = replica',
    'set session authorization postgres',
    `alter system set row_security = off`,
  ],
}

test.each(Object.entries(FORBIDDEN))('%s: a tenant’s role has no right to them', async (_, statements) => {
  for (const sql of statements) {
    const { code, text } = await asAttacker(sql)
    // A few are refused for another reason before the right is asked for.
    expect([sql, code, text]).toEqual([sql, expect.stringMatching(/^(?:42501|25001|0A000|42P16|42809|42704)$/), text])
    expect(text, sql).not.toContain(CANARY)
  }
  expect((await backend.call(victim, '/rest/v1/notes?select=id,title')).json).toEqual([{ id: 1, title: CANARY }])
})

test('what everybody may read of a server holds no row and no value of another tenant', async () => {
  for (const sql of [
    'select * from pg_stats',
    'select * from pg_stats_ext',
    'select * from pg_stat_activity',
    'select * from pg_stat_user_tables',
    'select * from pg_stat_all_indexes',
    'select * from pg_class',
    'select * from pg_prepared_statements',
    'select * from pg_cursors',
    'select * from pg_locks',
    'select * from pg_largeobject_metadata',
    'select * from pg_settings',
    'select * from pg_sequences',
    'select * from information_schema.columns',
    'select lastval()',
    `select current_setting('request.jwt.claims', true)`,
    'select * from pg_listening_channels()',
    'set local row_security = off; select * from OWN.notes',
    `set local statement_timeout = 0; set local work_mem = '1GB'; select * from OWN.notes`,
    `set local search_path = VICTIM; select current_schemas(true)`,
    'listen aerodb_ddl; select pg_notify(current_user::text, current_user::text)',
  ])
    expect((await asAttacker(sql)).text, sql).not.toContain(CANARY)
  const known = await asAttacker(`select * from pg_stats where schemaname = 'VICTIM'`)
  expect(JSON.parse(known.text).rows).toEqual([])
})

test('what a tenant’s role hands on is nothing: it owns nothing, and holds no right with the option to grant it', async () => {
  const { text } = await asAttacker(`grant all on OWN.notes to public, VICTIM; grant OWN to VICTIM_OR_NOBODY`)
  expect(text).toMatch(/does not exist|permission denied/)
  const granted = await asAttacker(
    `grant all on OWN.notes to public, VICTIM;
     select count(*)::int as n from pg_class, aclexplode(relacl) acl where oid = 'OWN.notes'::regclass and grantee in (0, 'VICTIM'::regrole)`,
  )
  expect(granted.text).toContain('"rows":[{"n":0}]')
})

test('a row of its own tells nothing of another’s: unique values, keys and identities are each schema’s', async () => {
  const taken = await asAttacker(`insert into OWN.notes (title) values ('${CANARY}') returning title`)
  expect([taken.code, JSON.parse(taken.text).rows]).toEqual(['', [{ title: CANARY }]])
  const foreign = await asAttacker(`insert into OWN.notes (title, tenant_id) values ('x', '${victim.tenantId}')`)
  expect([foreign.code, foreign.text]).toEqual(['42501', expect.not.stringContaining(CANARY)])
})
