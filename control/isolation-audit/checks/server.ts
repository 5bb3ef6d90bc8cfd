import type { CatalogueQuery } from '../finding.ts'
import { TENANT_NAME } from './common.ts'

/**
 * Extensions that were read with both walls in mind: they add types, operators and pure functions, reach no file, network or
 * other session, and hold no rows.
 */
const REVIEWED_EXTENSIONS = [
  'plpgsql',
  'btree_gin',
  'btree_gist',
  'citext',
  'cube',
  'fuzzystrmatch',
  'hstore',
  'intarray',
  'isn',
  'ltree',
  'pg_trgm',
  'pgcrypto',
  'unaccent',
  'uuid-ossp',
  'vector',
]

/** What the server does around the walls. */
export const SERVER_QUERIES: readonly CatalogueQuery[] = [
  {
    name: 'extensions and ways out',
    sql: `select 'extension_not_reviewed' as code, null as schema, format('extension %I', extname) as object, 'version ' || extversion as what
      from pg_extension where extname <> all ('{${REVIEWED_EXTENSIONS.join(',')}}')
      union all
      select 'foreign_access', null, format('foreign server %I', srvname), 'by ' || fdwname
      from pg_foreign_server join pg_foreign_data_wrapper wrapper on wrapper.oid = srvfdw
      union all
      select 'large_object', null, 'large object ' || min(oid)::text, count(*)::text || ' exist' from pg_largeobject_metadata having count(*) > 0
      union all
      select 'replication_open', null, format('publication %I', pubname), case when puballtables then 'of all tables' else 'it is not ours' end
      from pg_publication where puballtables or pubname not like 'aerodb\\_%'
      union all
      select 'replication_open', null, format('subscription %I', subname), 'it is not ours'
      from pg_stat_subscription where subname not like 'aerodb\\_%'
      union all
      select 'schema_name_unknown', null, format('schema %I', nspname), 'its name is no tenant’s'
      from pg_namespace where nspname like 't\\_%' and nspname !~ ${TENANT_NAME}`,
  },
  {
    name: 'event triggers',
    sql: `with wanted (name, event, body) as (values
        ('aerodb_ddl', 'ddl_command_end', 'aerodb.on_ddl'), ('aerodb_drop', 'sql_drop', 'aerodb.on_drop')),
      present as (
        select evtname, evtevent, evtenabled, evttags, format('%I.%I', nspname, proname) as body, prosrc, rolsuper
        from pg_event_trigger join pg_proc on pg_proc.oid = evtfoid join pg_namespace on pg_namespace.oid = pronamespace
        join pg_roles on pg_roles.oid = evtowner)
      select 'event_trigger_wrong' as code, null as schema, format('event trigger %I', coalesce(name, evtname)) as object,
        case when evtname is null then 'it does not exist' when name is null then 'it is not ours' when evtenabled not in ('O', 'A')
          then 'it is disabled' else 'it is not as laid down' end as what
      from wanted full join present on evtname = name
      where evtname is null or name is null or evtenabled not in ('O', 'A') or evtevent <> event or evttags is not null
        or present.body <> wanted.body or not rolsuper or strpos(prosrc, 'pg_notify(''aerodb_ddl''') = 0
        or (name = 'aerodb_ddl' and strpos(prosrc, 'force row level security') = 0)`,
  },
  {
    name: 'server settings',
    sql: `select 'server_setting' as code, null as schema, 'setting ' || name as object, format('%s = %s', name, setting) as what
      from pg_settings join (values ('row_security', 'on'), ('session_replication_role', 'origin'), ('lo_compat_privileges', 'off'),
        ('event_triggers', 'on'), ('allow_system_table_mods', 'off'), ('ignore_system_indexes', 'off'), ('transform_null_equals', 'off'),
        ('password_encryption', 'scram-sha-256')) as wanted (wanted_name, value) on wanted_name = name
      where setting <> value
      union all
      select 'server_setting', null, 'setting ' || name, 'it is set for every session'
      from unnest('{app.tenant_id,app.role,app.service,request.jwt.claims}'::text[]) name where current_setting(name, true) <> ''`,
  },
  {
    name: 'authentication',
    sql: `select 'trust_authentication' as code, null as schema, format('pg_hba.conf line %s', line_number) as object,
        concat_ws(' ', type, array_to_string(database, ','), array_to_string(user_name, ','), address, auth_method) as what
      from pg_hba_file_rules where error is null and auth_method in ('trust', 'password')`,
  },
]
