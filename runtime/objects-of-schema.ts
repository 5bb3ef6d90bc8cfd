/**
 * SQL for the oids of what lies in the schema named by the parameter `$1`, of one catalogue. `pg_class`, `pg_proc` and `pg_type` have no
 * index by schema: a search by theirs reads every schema's entries, some hundred thousand at ten thousand schemas. Whatever lies in a
 * schema depends on it (PostgreSQL 52.18), and `pg_depend` has an index by what is depended on.
 */
export function objectsOfSchema(catalogue: 'pg_class' | 'pg_proc' | 'pg_type'): string {
  return `(array(select objid from pg_depend where refclassid = 'pg_namespace'::regclass and refobjid = (select oid from pg_namespace where nspname = $1) and classid = '${catalogue}'::regclass))`
}
