import type { CatalogueQuery } from '../finding.ts'
import { IS_REQUEST_PATH, TENANT_NAME, TENANT_ROLES, TENANT_SCHEMAS } from './common.ts'
import { DDL_LOGIN, REPLICATION_LOGIN, REQUEST_LOGIN, REQUEST_ROLES } from './request-roles.ts'

/** Settings that only bound what a statement may use. */
const LIMITS = [
  'statement_timeout',
  'lock_timeout',
  'transaction_timeout',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'temp_file_limit',
  'work_mem',
  'maintenance_work_mem',
  'hash_mem_multiplier',
  'max_parallel_workers_per_gather',
  'jit',
]

/** The schema column of these rows names the tenant that a role belongs to: role and schema have one name. */
const TENANT_OF_ROLE = `case when rolname ~ ${TENANT_NAME} then rolname end as schema`

/** The first wall's other half: what roles are, and what they may become. */
export const ROLE_QUERIES: readonly CatalogueQuery[] = [
  {
    name: 'roles',
    sql: `select code, ${TENANT_OF_ROLE}, format('role %I', rolname) as object, what
      from pg_roles cross join lateral (values
        (rolsuper, 'role_attribute', 'it is superuser'),
        (rolbypassrls, 'role_attribute', 'it bypasses row level security'),
        (rolreplication and rolname <> '${REPLICATION_LOGIN}', 'role_attribute', 'it may replicate'),
        (rolcreaterole, 'role_attribute', 'it may make roles'),
        (rolcreatedb, 'role_attribute', 'it may make databases'),
        (rolname ~ ${TENANT_NAME} and rolcanlogin, 'role_login', 'it can log in'),
        (rolinherit, 'role_login', 'it inherits')
      ) as rule (is_broken, code, what)
      where ${IS_REQUEST_PATH} and is_broken
      union all
      select 'role_missing', null, format('role %I', name), 'it does not exist, or cannot log in'
      from unnest('{${REQUEST_ROLES.join(',')}}'::text[]) as name
      where not exists (select from pg_roles where rolname = name and rolcanlogin)`,
  },
  {
    name: 'memberships',
    sql: `with ${TENANT_SCHEMAS},
      membership as (
        select role.rolname, member.rolname as member, member.rolsuper, inherit_option, set_option, admin_option,
          role.rolname ~ ${TENANT_NAME} as is_tenant
        from pg_auth_members join pg_roles role on role.oid = roleid join pg_roles member on member.oid = pg_auth_members.member)
      select 'membership_wrong' as code, ${TENANT_OF_ROLE}, format('role %I', rolname) as object,
        format('%s is a member', member) || case when inherit_option then ', inherits' else '' end
          || case when admin_option then ', passes it on' else '' end as what
      from membership
      where not rolsuper and member <> current_user and case
        when is_tenant and member = '${REQUEST_LOGIN}' then inherit_option or admin_option
        else is_tenant or rolname = any ('{${REQUEST_ROLES.join(',')}}')
          or member = any ('{${REQUEST_ROLES.join(',')}}') or member ~ ${TENANT_NAME} end
      union all
      select 'role_missing', nspname, format('role %I', nspname), '${REQUEST_LOGIN} cannot become it'
      from tenant_schema
      where not exists (select from membership where rolname = nspname and member = '${REQUEST_LOGIN}' and set_option)`,
  },
  {
    name: 'settings of roles and databases',
    sql: `with ${TENANT_ROLES},
      setting as (
        select datname, rolname, split_part(entry, '=', 1) as name, substr(entry, strpos(entry, '=') + 1) as value
        from pg_db_role_setting cross join lateral unnest(setconfig) entry
        left join pg_database on pg_database.oid = setdatabase left join pg_roles on pg_roles.oid = setrole
        where (setdatabase = 0 or datname = current_database()) and (setrole = 0 or ${IS_REQUEST_PATH}))
      select 'role_setting' as code, case when rolname ~ ${TENANT_NAME} then rolname end as schema,
        concat_ws(' ', 'role ' || rolname, 'database ' || datname) as object, format('%s = %s', name, value) as what
      from setting
      where not (name = any ('{${LIMITS.join(',')}}')
          or (name = 'search_path' and value in ('pg_catalog', '""', '') and rolname in ('${REQUEST_LOGIN}', '${DDL_LOGIN}')))
        or rolname in (select rolname from tenant_role)`,
  },
]
