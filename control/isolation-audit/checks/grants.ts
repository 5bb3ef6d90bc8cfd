import type { CatalogueQuery } from '../finding.ts'
import {
  IS_REQUEST_PATH,
  IS_SYSTEM_SCHEMA,
  REQUEST_GRANTEES,
  TENANT_NAME,
  TENANT_ROLES,
  TENANT_SCHEMAS,
} from './common.ts'
import { DDL_LOGIN, MOVER, REQUEST_ROLES } from './request-roles.ts'

/** What a tenant's role may do to each kind of object. */
const ALLOWED = `(values ('schema', '{USAGE}'::text[]), ('table', '{SELECT,INSERT,UPDATE,DELETE}'), ('sequence', '{USAGE}'),
  ('function', '{EXECUTE}'), ('type', '{USAGE}')) as allowed (kind, privileges)`

/**
 * `object`: every object in a tenant's schema with its owner and effective rights (what Postgres assumes where nothing is
 * written included). Row types of tables are not objects of their own; arrays take the rights of their elements.
 */
const TENANT_OBJECTS = `object as (
  select nspname, 'schema' as kind, quote_ident(nspname) as name, nspowner as owner, coalesce(nspacl, acldefault('n', nspowner)) as acl
  from tenant_schema
  union all
  select nspname, case when relkind = 'S' then 'sequence' else 'table' end, format('%I.%I', nspname, relname), relowner,
    coalesce(relacl, acldefault(case when relkind = 'S' then 's' else 'r' end::"char", relowner))
  from pg_class join tenant_schema on tenant_schema.oid = relnamespace where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  union all
  select nspname, 'table', format('%I.%I (%I)', nspname, relname, attname), relowner, attacl
  from pg_attribute join pg_class class on class.oid = attrelid join tenant_schema on tenant_schema.oid = relnamespace
  where attacl is not null and not attisdropped
  union all
  select nspname, 'function', format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid)), proowner,
    coalesce(proacl, acldefault('f', proowner))
  from pg_proc join tenant_schema on tenant_schema.oid = pronamespace
  union all
  select nspname, 'type', format('%I.%I', nspname, typname), typowner, coalesce(typacl, acldefault('T', typowner))
  from pg_type type join tenant_schema on tenant_schema.oid = typnamespace left join pg_class class on class.oid = typrelid
  where typtype in ('e', 'd', 'r', 'm') or (typtype = 'c' and relkind = 'c'))`

/** The first wall: who may reach what. Every right is looked at as it is written; roles have no way around (`roles.ts`). */
export const TENANT_RIGHT_QUERIES: readonly CatalogueQuery[] = [
  {
    name: 'rights in tenants’ schemas',
    sql: `with ${TENANT_SCHEMAS}, ${TENANT_OBJECTS},
      granted as (
        select object.*, entry.grantee, entry.privilege_type as privilege, entry.is_grantable, grantee.rolname as grantee_name,
          grantee.rolsuper
        from object cross join lateral aclexplode(acl) entry left join pg_roles grantee on grantee.oid = entry.grantee
        where entry.grantee <> owner)
      select case
          when grantee = 0 then 'grant_to_public'
          when grantee_name = nspname then 'grant_excessive'
          when grantee_name ~ ${TENANT_NAME} then 'grant_across_tenants'
          else 'grant_to_stranger' end as code,
        nspname as schema, name as object,
        string_agg(distinct privilege || case when is_grantable then ' with grant option' else '' end, ', ') || ' for ' ||
          coalesce(max(grantee_name), case when grantee = 0 then 'PUBLIC' else 'a role that is gone' end) as what
      from granted left join ${ALLOWED} on allowed.kind = granted.kind
      where not (grantee_name is not distinct from nspname and privilege = any (privileges) and not is_grantable)
        and rolsuper is not true and grantee_name is distinct from '${MOVER}'
      group by 1, 2, 3, grantee
      union all
      select 'owner_wrong', nspname, object.name, 'it belongs to ' || coalesce(rolname, 'a role that is gone')
      from object left join pg_roles on pg_roles.oid = owner
      where rolname is distinct from '${DDL_LOGIN}'`,
  },
  {
    name: 'default privileges',
    sql: `with ${TENANT_SCHEMAS}, ${TENANT_ROLES}, ${REQUEST_GRANTEES},
      entry as (
        select pg_default_acl.oid, nspname, defaclobjtype as kind, owner.rolname as owner, acl.grantee, acl.privilege_type as privilege,
          acl.is_grantable, coalesce(grantee.name, acl.grantee::regrole::text) as grantee_name,
          case defaclobjtype when 'r' then '{SELECT,INSERT,UPDATE,DELETE}'::text[] when 'S' then '{USAGE}' when 'f' then '{EXECUTE}'
            when 'T' then '{USAGE}' else '{}' end as allowed
        from pg_default_acl cross join lateral aclexplode(defaclacl) acl
        join pg_roles owner on owner.oid = defaclrole
        left join pg_namespace namespace on namespace.oid = defaclnamespace
        left join request_grantee grantee on grantee.oid = acl.grantee
        where acl.grantee <> defaclrole)
      select 'default_privileges_wrong' as code, nspname as schema,
        format('default privileges of %s%s on %s', owner, coalesce(' in ' || nspname, ''),
          case kind when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' else 'schemas' end) as object,
        string_agg(distinct privilege, ', ') || ' for ' || grantee_name as what
      from entry
      where not (nspname is not null and grantee_name = nspname and privilege = any (allowed) and not is_grantable)
        and (nspname ~ ${TENANT_NAME} or owner = '${DDL_LOGIN}' or grantee in (select oid from request_grantee))
      group by nspname, owner, kind, grantee_name
      union all
      select 'default_privileges_missing', nspname, format('default privileges of %s in %s', '${DDL_LOGIN}', nspname),
        'nothing for the tenant’s role on ' || case kind when 'r' then 'tables' else 'sequences' end
      from tenant_schema cross join (values ('r'::"char"), ('S')) as needed (kind)
      where not exists (
        select from pg_default_acl cross join lateral aclexplode(defaclacl) acl join pg_roles owner on owner.oid = defaclrole
        join tenant_role on tenant_role.oid = acl.grantee
        where defaclnamespace = tenant_schema.oid and defaclobjtype = kind and owner.rolname = '${DDL_LOGIN}'
          and tenant_role.rolname = tenant_schema.nspname)
      union all
      select 'default_privileges_missing', null, 'default privileges of ${DDL_LOGIN} on functions', 'EXECUTE for PUBLIC is not revoked'
      where not exists (
        select from pg_default_acl join pg_roles owner on owner.oid = defaclrole
        where owner.rolname = '${DDL_LOGIN}' and defaclnamespace = 0 and defaclobjtype = 'f'
          and not exists (select from aclexplode(defaclacl) acl where acl.grantee = 0))`,
  },
]

/** Rights around the tenants' schemas: the same on a shared server and on a tenant's own. */
export const SERVER_RIGHT_QUERIES: readonly CatalogueQuery[] = [
  {
    name: 'rights outside tenants’ schemas',
    sql: `with ${REQUEST_GRANTEES},
      schema as (select oid, nspname, nspowner, nspacl from pg_namespace where nspname !~ ${TENANT_NAME} and not ${IS_SYSTEM_SCHEMA}),
      object as (
        select quote_ident(nspname) as name, nspowner as owner, coalesce(nspacl, acldefault('n', nspowner)) as acl from schema
        union all
        select format('%I.%I', nspname, relname), relowner, relacl from pg_class join schema on schema.oid = relnamespace
        union all
        select format('%I.%I (%I)', nspname, relname, attname), relowner, attacl
        from pg_attribute join pg_class class on class.oid = attrelid join schema on schema.oid = relnamespace
        union all
        -- That PUBLIC may execute functions by default is no right without USAGE on their schema.
        select format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid)), proowner, proacl
        from pg_proc join schema on schema.oid = pronamespace
        where not exists (select from pg_depend where classid = 'pg_proc'::regclass and objid = pg_proc.oid and deptype = 'e'))
      select 'grant_outside_tenant_schemas' as code, null as schema, object.name as object,
        string_agg(distinct privilege_type, ', ') || ' for ' || grantee.name as what
      from object cross join lateral aclexplode(acl) entry join request_grantee grantee on grantee.oid = entry.grantee
      where entry.grantee <> owner
      group by object.name, grantee.name`,
  },
  {
    name: 'rights on system objects',
    sql: `with ${REQUEST_GRANTEES},
      object as (
        select 'pg_class'::regclass as class, pg_class.oid, format('%I.%I', nspname, relname) as name, relacl as acl, false as is_function
        from pg_class join pg_namespace namespace on namespace.oid = relnamespace where ${IS_SYSTEM_SCHEMA} and relacl is not null
        union all
        select 'pg_proc'::regclass, pg_proc.oid, format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid)),
          proacl, true
        from pg_proc join pg_namespace namespace on namespace.oid = pronamespace where ${IS_SYSTEM_SCHEMA} and proacl is not null)
      select 'grant_on_system_object' as code, null as schema, object.name as object,
        string_agg(distinct entry.privilege_type, ', ') || ' for ' || grantee.name as what
      from object cross join lateral aclexplode(acl) entry join request_grantee grantee on grantee.oid = entry.grantee
      left join pg_init_privs shipped on shipped.classoid = class and shipped.objoid = object.oid and shipped.objsubid = 0
      where not exists (
          select from aclexplode(shipped.initprivs) as kept
          where kept.grantee = entry.grantee and kept.privilege_type = entry.privilege_type)
        -- The information schema is filled after initdb has noted what it ships.
        and not (entry.grantee = 0 and shipped.initprivs is null
          and (is_function or (object.name like 'information\\_schema.%' and entry.privilege_type = 'SELECT')))
      group by object.name, grantee.name
      union all
      select 'grant_on_system_object', null, 'parameter ' || parname, entry.privilege_type || ' for ' || grantee.name
      from pg_parameter_acl cross join lateral aclexplode(paracl) entry join request_grantee grantee on grantee.oid = entry.grantee`,
  },
  {
    name: 'rights on databases',
    sql: `with ${REQUEST_GRANTEES},
      entry as (
        select datname, datdba, grantee.name, privilege_type as privilege
        from pg_database cross join lateral aclexplode(coalesce(datacl, acldefault('d', datdba))) acl
        join request_grantee grantee on grantee.oid = acl.grantee
        where datallowconn and acl.grantee <> datdba)
      select 'database_grant' as code, null as schema, format('database %I', datname) as object,
        string_agg(privilege, ', ') || ' for ' || name as what
      from entry
      where datname = current_database() and not (name = any ('{${REQUEST_ROLES.join(',')}}') and privilege = 'CONNECT')
      group by datname, name
      union all
      select 'other_database_reachable', null, format('database %I', datname), 'CONNECT for ' || string_agg(name, ', ')
      from entry where datname <> current_database() and privilege = 'CONNECT'
        -- Where pg_hba.conf admits none of the logins to it, the right is of no use.
        and exists (
          select from pg_hba_file_rules
          where error is null and auth_method <> 'reject'
            and (database && array['all', datname::text, 'sameuser', 'samerole'] or array_to_string(database, ' ') like '%/%')
            and (user_name && '{all,${REQUEST_ROLES.join(',')}}' or array_to_string(user_name, ' ') ~ '[/+]'))
      group by datname`,
  },
  {
    name: 'rights of other logins',
    sql: `select 'login_unknown' as code, null as schema, format('role %I', rolname) as object, 'it can connect' as what
      from pg_roles
      where rolcanlogin and not rolsuper and rolname <> '${MOVER}' and not ${IS_REQUEST_PATH} and has_database_privilege(oid, current_database(), 'connect')`,
  },
]
