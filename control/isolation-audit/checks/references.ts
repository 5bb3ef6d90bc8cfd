import type { CatalogueQuery } from '../finding.ts'
import { IS_SYSTEM_SCHEMA, TENANT_NAME, TENANT_SCHEMAS } from './common.ts'

/**
 * `located`: objects by catalogue and id, with the schema they lie in. What hangs on a table (policy, default, trigger, rule)
 * lies where the table does.
 */
const LOCATED = `located (class, id, namespace) as materialized (
  select 'pg_class'::regclass, oid, relnamespace from pg_class where relkind <> 't'
  union all select 'pg_proc'::regclass, oid, pronamespace from pg_proc
  union all select 'pg_type'::regclass, oid, typnamespace from pg_type
  union all select 'pg_operator'::regclass, oid, oprnamespace from pg_operator
  union all select 'pg_collation'::regclass, oid, collnamespace from pg_collation
  union all select 'pg_policy'::regclass, pg_policy.oid, relnamespace from pg_policy join pg_class on pg_class.oid = polrelid
  union all select 'pg_attrdef'::regclass, pg_attrdef.oid, relnamespace from pg_attrdef join pg_class on pg_class.oid = adrelid
  union all select 'pg_trigger'::regclass, pg_trigger.oid, relnamespace from pg_trigger join pg_class on pg_class.oid = tgrelid
  union all select 'pg_rewrite'::regclass, pg_rewrite.oid, relnamespace from pg_rewrite join pg_class on pg_class.oid = ev_class
  union all select 'pg_constraint'::regclass, oid, connamespace from pg_constraint where contype <> 'f')`

/** Ways from one schema into another, which neither wall would see. */
export const REFERENCE_QUERIES: readonly CatalogueQuery[] = [
  {
    name: 'references across schemas',
    // Each step is fenced: planned as one, schemas would be paired with schemas, which is quadratic.
    sql: `with ${LOCATED},
      crossing_schemas as materialized (
        select dependency.classid, dependency.objid, dependency.refclassid, dependency.refobjid, here.namespace as here,
          there.namespace as there
        from pg_depend dependency
        join located here on here.class = dependency.classid and here.id = dependency.objid
        join located there on there.class = dependency.refclassid and there.id = dependency.refobjid
        where here.namespace <> there.namespace and there.namespace <> 'pg_catalog'::regnamespace),
      crossing as (
        select distinct classid, objid, refclassid, refobjid, source.nspname as from_schema, target.nspname as to_schema
        from crossing_schemas
        join pg_namespace source on source.oid = here
        join pg_namespace target on target.oid = there
        where (source.nspname ~ ${TENANT_NAME} or target.nspname ~ ${TENANT_NAME}) and target.nspname <> 'information_schema'
          and not exists (select from pg_inherits where inhrelid = objid and inhparent = refobjid))
      select 'reference_across_schemas' as code,
        case when from_schema ~ ${TENANT_NAME} then from_schema else to_schema end as schema,
        pg_describe_object(classid, objid, 0) as object, 'it uses ' || pg_describe_object(refclassid, refobjid, 0) as what
      from crossing`,
  },
  {
    name: 'foreign keys and inheritance across schemas',
    sql: `with ${TENANT_SCHEMAS}
      select 'foreign_key_across_schemas' as code,
        case when source.nspname ~ ${TENANT_NAME} then source.nspname else target.nspname end as schema,
        format('%I.%I', source.nspname, here.relname) as object,
        format('%I references %I.%I', conname, target.nspname, there.relname) as what
      from pg_constraint
      join pg_class here on here.oid = conrelid join pg_namespace source on source.oid = here.relnamespace
      join pg_class there on there.oid = confrelid join pg_namespace target on target.oid = there.relnamespace
      where contype = 'f' and source.oid <> target.oid
        and (source.oid in (select oid from tenant_schema) or target.oid in (select oid from tenant_schema))
      union all
      select 'inheritance_across_schemas',
        case when source.nspname ~ ${TENANT_NAME} then source.nspname else target.nspname end,
        format('%I.%I', source.nspname, here.relname), format('it is a child of %I.%I', target.nspname, there.relname)
      from pg_inherits
      join pg_class here on here.oid = inhrelid join pg_namespace source on source.oid = here.relnamespace
      join pg_class there on there.oid = inhparent join pg_namespace target on target.oid = there.relnamespace
      where source.oid <> target.oid and here.relkind in ('r', 'p', 'f')
        and (source.oid in (select oid from tenant_schema) or target.oid in (select oid from tenant_schema))`,
  },
  {
    name: 'functions',
    sql: `select code, case when nspname ~ ${TENANT_NAME} then nspname end as schema,
        format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid)) as object, what
      from pg_proc join pg_namespace on pg_namespace.oid = pronamespace join pg_language on pg_language.oid = prolang
      cross join lateral (values
        (prosecdef, 'security_definer_function', 'it runs with its owner’s rights'),
        (proleakproof, 'unsafe_function', 'it is declared leakproof: row security lets it see hidden rows'),
        (lanname not in ('sql', 'plpgsql'), 'unsafe_function', 'it is written in ' || lanname),
        (exists (select from unnest(proconfig) entry
            where entry ~ '^(role|session_authorization|row_security|session_replication_role|app\\.|request\\.)'),
          'unsafe_function', 'it sets ' || array_to_string(proconfig, ', '))
      ) as rule (is_broken, code, what)
      where not ${IS_SYSTEM_SCHEMA} and is_broken
        and (code = 'security_definer_function' or not exists (
          select from pg_depend where classid = 'pg_proc'::regclass and objid = pg_proc.oid and deptype = 'e'))`,
  },
]
