import type { Queryable } from '../stores/change.ts'

/** What stands in the way of a schema's coming to another server. */
export type Blocker = { object: string; reason: string }

/** Parts of a schema that `part-queries.ts` cannot make again. */
const UNKNOWN_PARTS = `
  select pg_describe_object(d.classid, d.objid, 0) as object, 'it is of a kind that cannot be moved' as reason
  from pg_depend d join pg_namespace n on n.oid = d.refobjid and n.nspname = $1
  left join pg_class c on d.classid = 'pg_class'::regclass and c.oid = d.objid
  left join pg_proc p on d.classid = 'pg_proc'::regclass and p.oid = d.objid
  left join pg_type t on d.classid = 'pg_type'::regclass and t.oid = d.objid
  where d.refclassid = 'pg_namespace'::regclass and d.deptype = 'n' and not case d.classid
    when 'pg_class'::regclass then c.relkind in ('r', 'p', 'v', 'm', 'S', 'i', 'I', 'c') and c.relpersistence = 'p'
    when 'pg_proc'::regclass then p.prokind in ('f', 'p', 'w')
    when 'pg_type'::regclass then t.typtype in ('e', 'd', 'c', 'b') and (t.typtype <> 'b' or t.typelem <> 0)
    when 'pg_statistic_ext'::regclass then true when 'pg_default_acl'::regclass then true else false end
  union all
  select c.oid::regclass::text, 'it inherits from another table'
  from pg_inherits join pg_class c on c.oid = inhrelid and c.relkind = 'r' and not c.relispartition
  join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
  union all
  select 'large objects', 'they cannot be moved' where $2 and exists (select from pg_largeobject_metadata)`

/** Functions that an expression on a shared server may call beyond Postgres's immutable and stable ones. */
const HARMLESS = [
  'clock_timestamp',
  'current_setting',
  'gen_random_uuid',
  'nextval',
  'now',
  'random',
  'statement_timestamp',
  'transaction_timestamp',
  'uuidv4',
  'uuidv7',
]

/**
 * On a shared server every request's login may become any tenant's role, so no tenant's own code may run there: no functions,
 * views or triggers, and in defaults, checks, policies and indexes only functions of Postgres's own that change nothing.
 */
const FOREIGN_TO_SHARED = `
  with expression (object, tree) as (
    select pg_describe_object('pg_attrdef'::regclass, d.oid, 0), d.adbin::text
    from pg_attrdef d join pg_class c on c.oid = d.adrelid join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
    union all
    select pg_describe_object('pg_constraint'::regclass, k.oid, 0), k.conbin::text
    from pg_constraint k join pg_namespace n on n.oid = k.connamespace and n.nspname = $1 where k.conbin is not null
    union all
    select i.indexrelid::regclass::text, concat_ws(' ', i.indexprs::text, i.indpred::text)
    from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
    where i.indexprs is not null or i.indpred is not null
    union all
    select pg_describe_object('pg_policy'::regclass, p.oid, 0), concat_ws(' ', p.polqual::text, p.polwithcheck::text)
    from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
    union all
    select pg_describe_object('pg_type'::regclass, t.oid, 0), t.typdefaultbin::text
    from pg_type t join pg_namespace n on n.oid = t.typnamespace and n.nspname = $1 where t.typdefaultbin is not null),
  called as (
    select distinct object, found[1]::oid as id from expression
    cross join lateral regexp_matches(tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)', 'g') found where found[1] <> '0')
  select object, 'a shared server does not run ' || coalesce(p.oid::regprocedure::text, 'an unknown function') || ' for a tenant' as reason
  from called left join pg_proc p on p.oid = called.id
  where p.oid is null or p.oid >= 16384
    or (p.provolatile = 'v' and not p.proname = any ($2))
  union all
  select pg_describe_object('pg_proc'::regclass, p.oid, 0), 'a shared server runs no functions of a tenant'
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace and n.nspname = $1
  union all
  select pg_describe_object('pg_class'::regclass, c.oid, 0), 'a shared server has no views of a tenant'
  from pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1 where c.relkind in ('v', 'm')
  union all
  select pg_describe_object('pg_trigger'::regclass, t.oid, 0), 'a shared server runs no triggers of a tenant'
  from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
  where not t.tgisinternal
  union all
  select pg_describe_object('pg_rewrite'::regclass, r.oid, 0), 'a shared server has no rules of a tenant'
  from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
  where r.rulename <> '_RETURN'
  union all
  select c.oid::regclass::text, 'its column tenant_id, or its restrictive policy, is not as a shared server needs it'
  from pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
  where c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity
    and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnotnull and a.atttypid = 'text'::regtype)
    and exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'tenant_isolation' and not p.polpermissive and p.polcmd = '*'
      and p.polroles = '{0}' and pg_get_expr(p.polqual, c.oid) = '(tenant_id = current_setting(''app.tenant_id''::text))'
      and pg_get_expr(p.polwithcheck, c.oid) = pg_get_expr(p.polqual, c.oid)))`

/** How many are told; the first ones are enough to know what to do. */
const TOLD = 20

/** What keeps the schema from being made on a server of the kind; empty when nothing does. */
export async function findBlockers(
  db: Queryable,
  schema: string,
  options: { isFromOwnServer: boolean; isToShared: boolean },
): Promise<Blocker[]> {
  await db.query(`set search_path = ''`)
  const unknown = await db.query<Blocker>(`${UNKNOWN_PARTS} limit ${TOLD}`, [schema, options.isFromOwnServer])
  // What lies on a shared server was made by us, statement by statement.
  if (!options.isToShared || !options.isFromOwnServer) return unknown.rows
  const foreign = await db.query<Blocker>(`${FOREIGN_TO_SHARED} limit ${TOLD}`, [schema, HARMLESS])
  return [...unknown.rows, ...foreign.rows].slice(0, TOLD)
}
