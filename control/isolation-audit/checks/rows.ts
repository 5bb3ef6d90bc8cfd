import type { CatalogueQuery } from '../finding.ts'
import { TENANT_SCHEMAS } from './common.ts'

/** How `pg_get_expr` prints what every table has, with nothing but pg_catalog on the search path. */
const WALL = `(tenant_id = current_setting(''app.tenant_id''::text))`
const DEFAULT = `current_setting(''app.tenant_id''::text)`

/** The second wall: row level security, its policy and the column it compares. */
export const ROW_QUERIES: readonly CatalogueQuery[] = [
  {
    name: 'row level security',
    sql: `with ${TENANT_SCHEMAS},
      tenant_table as (
        select class.oid, nspname, relname, relrowsecurity, relforcerowsecurity
        from pg_class class join tenant_schema on tenant_schema.oid = relnamespace where relkind in ('r', 'p')),
      wall as (
        select polrelid, polpermissive, polcmd, polroles, pg_get_expr(polqual, polrelid) as reads,
               pg_get_expr(polwithcheck, polrelid) as writes
        from pg_policy where polname = 'tenant_isolation'),
      tenant_column as (
        select attrelid, attnotnull, atttypid, attgenerated, attidentity, collisdeterministic,
               pg_get_expr(adbin, adrelid) as filled
        from pg_attribute
        left join pg_attrdef on adrelid = attrelid and adnum = attnum
        left join pg_collation on pg_collation.oid = attcollation
        where attname = 'tenant_id' and attnum > 0 and not attisdropped)
      select code, nspname as schema, format('%I.%I', nspname, relname) as object, what
      from tenant_table
      left join wall on polrelid = tenant_table.oid
      left join tenant_column on attrelid = tenant_table.oid
      cross join lateral (values
        (not relrowsecurity, 'rls_not_enabled', 'row level security is off'),
        (not relforcerowsecurity, 'rls_not_forced', 'row level security does not bind the owner'),
        (polrelid is null, 'tenant_policy_missing', 'there is no policy tenant_isolation'),
        (polpermissive, 'tenant_policy_wrong', 'the policy is permissive: others widen it'),
        (polcmd <> '*', 'tenant_policy_wrong', 'the policy is for one command only'),
        (polroles <> '{0}', 'tenant_policy_wrong', 'the policy is for some roles only'),
        (polrelid is not null and reads is distinct from '${WALL}', 'tenant_policy_wrong',
          'reading is allowed where ' || coalesce(reads, 'always')),
        (polrelid is not null and writes is distinct from '${WALL}', 'tenant_policy_wrong',
          'writing is allowed where ' || coalesce(writes, 'reading is')),
        (attrelid is null, 'tenant_column_missing', 'there is no column tenant_id'),
        (not attnotnull, 'tenant_column_wrong', 'tenant_id may be null'),
        (atttypid <> 'text'::regtype, 'tenant_column_wrong', 'tenant_id is ' || format_type(atttypid, null)),
        (not collisdeterministic, 'tenant_column_wrong', 'tenant_id is compared by a collation that takes different texts for equal'),
        (attrelid is not null and (filled is distinct from '${DEFAULT}' or attgenerated <> '' or attidentity <> ''),
          'tenant_column_wrong', 'tenant_id is filled with ' || coalesce(filled, 'nothing'))
      ) as rule (is_broken, code, what)
      where is_broken`,
  },
  {
    name: 'relations without rows of their own',
    sql: `with ${TENANT_SCHEMAS}
      select case when relkind = 'v' then 'view_without_invoker' else 'unwalled_relation' end as code, nspname as schema,
        format('%I.%I', nspname, relname) as object,
        case relkind when 'v' then 'it reads with its owner’s rights' when 'm' then 'it is a materialized view'
          else 'it is a foreign table' end as what
      from pg_class join tenant_schema on tenant_schema.oid = relnamespace
      where relkind in ('m', 'f')
        or (relkind = 'v' and not exists (
          select from pg_options_to_table(reloptions) where option_name = 'security_invoker' and option_value::boolean))`,
  },
]
