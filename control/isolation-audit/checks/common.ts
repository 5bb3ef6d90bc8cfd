import { REQUEST_ROLES } from './request-roles.ts'

/** A tenant's schema and role on a server (tenancy/tenant.ts): `t_` and 26 characters of Crockford's base 32. */
export const TENANT_NAME = `'^t_[0-9a-hjkmnp-tv-z]{26}$'`

/** `tenant_schema`: the schemas of tenants. */
export const TENANT_SCHEMAS = `tenant_schema as (select oid, nspname, nspowner, nspacl from pg_namespace where nspname ~ ${TENANT_NAME})`

/** `tenant_role`: their roles, which belong to the whole server. */
export const TENANT_ROLES = `tenant_role as (select * from pg_roles where rolname ~ ${TENANT_NAME})`

/** Roles that a request, or a change of a tenant's schema, runs under: in SQL, a condition on a row of pg_roles. */
export const IS_REQUEST_PATH = `(rolname in (${REQUEST_ROLES.map((name) => `'${name}'`).join(', ')}) or rolname ~ ${TENANT_NAME})`

/** `request_role`: those, and PUBLIC as the role 0. */
export const REQUEST_GRANTEES = `request_grantee as (
  select oid, rolname::text as name from pg_roles where ${IS_REQUEST_PATH} union all select 0::oid, 'PUBLIC')`

/** Schemas that Postgres itself fills. */
export const IS_SYSTEM_SCHEMA = `(nspname in ('pg_catalog', 'information_schema') or nspname like 'pg\\_toast%' or nspname like 'pg\\_temp\\_%')`
