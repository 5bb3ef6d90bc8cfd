/** What a part of a schema is, in the order in which parts are made where nothing else decides. */
export const PART_KINDS = [
  'type',
  'sequence',
  'function',
  'table',
  'default',
  'check',
  'index',
  'unique',
  'view',
  'foreign key',
  'rule',
  'trigger',
  'policy',
  'statistics',
  'grant',
  'comment',
] as const
export type PartKind = (typeof PART_KINDS)[number]

/** A query for parts of the schema `$1`: `class` and `id` name the object in `pg_depend`, `sql` makes it. */
type PartQuery = { kind: PartKind; sql: string }

const RELATIONS = `from pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1`
const TABLE = `format('%I.%I', n.nspname, c.relname)`
const OPTIONS = `case when c.reloptions is null then '' else ' with (' || array_to_string(c.reloptions, ', ') || ')' end`

const SEQUENCE_OPTIONS = `format('start with %s increment by %s minvalue %s maxvalue %s cache %s %s', s.seqstart, s.seqincrement,
  s.seqmin, s.seqmax, s.seqcache, case when s.seqcycle then 'cycle' else 'no cycle' end)`

/** A column as `create table` takes it. Defaults come later (they may need functions), what is generated cannot. */
const COLUMNS = `(
  select coalesce(string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
    || case when a.attcollation <> t.typcollation and a.attcollation <> 0
         then format(' collate %I.%I', ln.nspname, l.collname) else '' end
    || case when a.attgenerated <> '' then format(' generated always as (%s) %s', pg_get_expr(d.adbin, d.adrelid),
         case a.attgenerated when 'v' then 'virtual' else 'stored' end) else '' end
    || case when a.attidentity <> '' then (
         select format(' generated %s as identity (sequence name %I.%I %s)',
           case a.attidentity when 'a' then 'always' else 'by default' end, n.nspname, q.relname, ${SEQUENCE_OPTIONS})
         from pg_depend i join pg_class q on q.oid = i.objid and q.relkind = 'S' join pg_sequence s on s.seqrelid = q.oid
         where i.classid = 'pg_class'::regclass and i.refclassid = 'pg_class'::regclass and i.refobjid = c.oid
           and i.refobjsubid = a.attnum and i.deptype = 'i') else '' end
    || case when a.attnotnull then ' not null' else '' end, ', ' order by a.attnum), '')
  from pg_attribute a join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  left join pg_collation l on l.oid = a.attcollation left join pg_namespace ln on ln.oid = l.collnamespace
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)`

const RELATION_WORD = `case c.relkind when 'S' then 'sequence' else 'table' end`

/** Rights as they are, beyond what default privileges have given: what was revoked stays so, what was granted is granted. */
const GRANTS = `
  select 'pg_class'::regclass::oid as class, c.oid as id,
    format('revoke all on %s %s from public, %I', ${RELATION_WORD}, ${TABLE}, $1)
    || coalesce((select string_agg(format('; grant %s on %s %s to %s', privileges, ${RELATION_WORD}, ${TABLE}, grantee), '')
        from (select string_agg(privilege_type, ', ' order by privilege_type) as privileges,
                case when r.rolname is null then 'public' else quote_ident(r.rolname) end as grantee
              from aclexplode(c.relacl) e left join pg_roles r on r.oid = e.grantee
              where e.grantee = 0 or r.rolname = $1 group by r.rolname) g), '') as sql
  ${RELATIONS} where c.relkind in ('r', 'p', 'v', 'm', 'S') and c.relacl is not null
  union all
  select 'pg_class'::regclass::oid, c.oid, string_agg(format('grant %s (%I) on %s to %s', e.privilege_type, a.attname, ${TABLE},
      case when r.rolname is null then 'public' else quote_ident(r.rolname) end), '; ')
  ${RELATIONS} join pg_attribute a on a.attrelid = c.oid and a.attacl is not null and not a.attisdropped
  cross join lateral aclexplode(a.attacl) e left join pg_roles r on r.oid = e.grantee
  where e.grantee = 0 or r.rolname = $1 group by c.oid, n.nspname, c.relname
  union all
  select 'pg_proc'::regclass::oid, p.oid,
    format('revoke all on routine %s from public, %I', p.oid::regprocedure, $1)
    || coalesce((select string_agg(format('; grant execute on routine %s to %s', p.oid::regprocedure,
          case when r.rolname is null then 'public' else quote_ident(r.rolname) end), '')
        from aclexplode(p.proacl) e left join pg_roles r on r.oid = e.grantee where e.grantee = 0 or r.rolname = $1), '')
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace and n.nspname = $1 where p.proacl is not null and p.prokind <> 'a'`

const COMMENTS = `
  select classoid as class, objoid as id, format('comment on %s %s is %L',
    case i.type when 'table column' then 'column' when 'view column' then 'column' when 'materialized view column' then 'column'
      when 'composite type column' then 'column' when 'table constraint' then 'constraint' else i.type end, i.identity, d.description) as sql
  from pg_description d cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) i
  where (i.schema = $1 or (i.schema is null and position(quote_ident($1) || '.' in i.identity) > 0)) and i.type in ('table', 'table column', 'view',
    'view column', 'materialized view', 'materialized view column', 'index', 'sequence', 'function', 'procedure', 'type',
    'composite type column', 'table constraint', 'trigger', 'policy', 'rule')`

/** Every part of a schema that can be made again elsewhere. With an empty search path, so that all names come out qualified. */
export const PART_QUERIES: readonly PartQuery[] = [
  {
    kind: 'type',
    sql: `select 'pg_type'::regclass::oid as class, t.oid as id, case t.typtype
        when 'e' then format('create type %I.%I as enum (%s)', n.nspname, t.typname,
          (select coalesce(string_agg(quote_literal(enumlabel), ', ' order by enumsortorder), '') from pg_enum where enumtypid = t.oid))
        when 'd' then format('create domain %I.%I as %s%s%s%s%s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod),
          case when t.typcollation <> b.typcollation and t.typcollation <> 0
            then (select format(' collate %I.%I', ln.nspname, l.collname) from pg_collation l
                  join pg_namespace ln on ln.oid = l.collnamespace where l.oid = t.typcollation) else '' end,
          case when t.typdefault is null then '' else ' default ' || coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault) end,
          case when t.typnotnull then ' not null' else '' end,
          (select coalesce(string_agg(format(' constraint %I %s', conname, pg_get_constraintdef(oid)), '' order by conname), '')
           from pg_constraint where contypid = t.oid and contype = 'c'))
        else format('create type %I.%I as (%s)', n.nspname, t.typname,
          (select coalesce(string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' order by attnum), '')
           from pg_attribute where attrelid = t.typrelid and attnum > 0 and not attisdropped)) end as sql
      from pg_type t join pg_namespace n on n.oid = t.typnamespace and n.nspname = $1
      left join pg_type b on b.oid = t.typbasetype left join pg_class k on k.oid = t.typrelid
      where t.typtype in ('e', 'd') or (t.typtype = 'c' and k.relkind = 'c')`,
  },
  {
    kind: 'sequence',
    sql: `select 'pg_class'::regclass::oid as class, c.oid as id,
        format('create sequence %s as %s %s', ${TABLE}, format_type(s.seqtypid, null), ${SEQUENCE_OPTIONS}) as sql
      ${RELATIONS} join pg_sequence s on s.seqrelid = c.oid
      where not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'i')`,
  },
  {
    kind: 'function',
    sql: `select 'pg_proc'::regclass::oid as class, p.oid as id, pg_get_functiondef(p.oid) as sql
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace and n.nspname = $1 where p.prokind in ('f', 'p', 'w')`,
  },
  {
    kind: 'table',
    sql: `select 'pg_class'::regclass::oid as class, c.oid as id, case when c.relispartition
        then format('create table %s partition of %s %s', ${TABLE}, parent.name, pg_get_expr(c.relpartbound, c.oid))
        else format('create table %s (%s)', ${TABLE}, ${COLUMNS}) end
        || case when c.relkind = 'p' then ' partition by ' || pg_get_partkeydef(c.oid) else '' end || ${OPTIONS} as sql
      ${RELATIONS} left join lateral (
        select format('%I.%I', pn.nspname, pc.relname) as name from pg_inherits join pg_class pc on pc.oid = inhparent
        join pg_namespace pn on pn.oid = pc.relnamespace where inhrelid = c.oid) parent on true
      where c.relkind in ('r', 'p')`,
  },
  {
    kind: 'default',
    sql: `select 'pg_attrdef'::regclass::oid as class, d.oid::bigint as id,
        format('alter table only %s alter column %I set default %s', ${TABLE}, a.attname, pg_get_expr(d.adbin, d.adrelid)) as sql
      ${RELATIONS} join pg_attrdef d on d.adrelid = c.oid join pg_attribute a on a.attrelid = c.oid and a.attnum = d.adnum
      where c.relkind in ('r', 'p') and a.attgenerated = '' and not a.attisdropped
      union all
      select 'pg_class'::regclass::oid, -s.oid::bigint, format('alter sequence %I.%I owned by %s.%I', n.nspname, s.relname, ${TABLE}, a.attname)
      ${RELATIONS} join pg_depend o on o.refclassid = 'pg_class'::regclass and o.refobjid = c.oid and o.deptype = 'a'
        and o.classid = 'pg_class'::regclass join pg_class s on s.oid = o.objid and s.relkind = 'S'
      join pg_attribute a on a.attrelid = c.oid and a.attnum = o.refobjsubid`,
  },
  {
    kind: 'check',
    sql: `select 'pg_constraint'::regclass::oid as class, k.oid as id,
        format('alter table %s add constraint %I %s', ${TABLE}, k.conname, pg_get_constraintdef(k.oid)) as sql
      ${RELATIONS} join pg_constraint k on k.conrelid = c.oid and k.contype = 'c' and k.conislocal and k.coninhcount = 0`,
  },
  {
    kind: 'index',
    sql: `select 'pg_class'::regclass::oid as class, i.indexrelid as id,
        replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') as sql
      ${RELATIONS} join pg_index i on i.indrelid = c.oid join pg_class x on x.oid = i.indexrelid and not x.relispartition
      where i.indisvalid and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))`,
  },
  {
    kind: 'unique',
    sql: `select 'pg_constraint'::regclass::oid as class, k.oid as id,
        format('alter table %s add constraint %I %s', ${TABLE}, k.conname, pg_get_constraintdef(k.oid)) as sql
      ${RELATIONS} join pg_constraint k on k.conrelid = c.oid and k.contype in ('p', 'u', 'x') and k.conparentid = 0`,
  },
  {
    kind: 'view',
    sql: `select 'pg_class'::regclass::oid as class, c.oid as id, case c.relkind
        when 'm' then format('create materialized view %s%s as %s', ${TABLE}, ${OPTIONS}, pg_get_viewdef(c.oid))
        else format('create view %s%s as %s', ${TABLE}, ${OPTIONS}, pg_get_viewdef(c.oid)) end as sql
      ${RELATIONS} where c.relkind in ('v', 'm')`,
  },
  {
    kind: 'foreign key',
    sql: `select 'pg_constraint'::regclass::oid as class, k.oid as id,
        format('alter table %s add constraint %I %s', ${TABLE}, k.conname, pg_get_constraintdef(k.oid)) as sql
      ${RELATIONS} join pg_constraint k on k.conrelid = c.oid and k.contype = 'f' and k.conparentid = 0`,
  },
  {
    kind: 'rule',
    sql: `select 'pg_rewrite'::regclass::oid as class, r.oid as id, pg_get_ruledef(r.oid) as sql
      ${RELATIONS} join pg_rewrite r on r.ev_class = c.oid and r.rulename <> '_RETURN'`,
  },
  {
    kind: 'trigger',
    sql: `select 'pg_trigger'::regclass::oid as class, t.oid as id, pg_get_triggerdef(t.oid) || case t.tgenabled when 'O' then ''
        else format('; alter table %s disable trigger %I', ${TABLE}, t.tgname) end as sql
      ${RELATIONS} join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal and t.tgparentid = 0`,
  },
  {
    kind: 'policy',
    sql: `select 'pg_policy'::regclass::oid as class, p.oid as id, format('create policy %I on %s as %s for %s to %s%s%s', p.polname, ${TABLE},
        case when p.polpermissive then 'permissive' else 'restrictive' end,
        case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
        (select string_agg(case when r.oid is null then 'public' else quote_ident(r.rolname) end, ', ')
         from unnest(p.polroles) role left join pg_roles r on r.oid = role),
        ' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')') as sql
      ${RELATIONS} join pg_policy p on p.polrelid = c.oid`,
  },
  {
    kind: 'statistics',
    sql: `select 'pg_statistic_ext'::regclass::oid as class, s.oid as id, pg_get_statisticsobjdef(s.oid) as sql
      from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace and n.nspname = $1`,
  },
  { kind: 'grant', sql: GRANTS },
  { kind: 'comment', sql: COMMENTS },
]

/**
 * Objects of the schema as `pg_depend` names them, each with the part that it belongs to: a view's rule to the view, a table's
 * row type to the table, an index behind a constraint to the constraint.
 */
export const ALIASES = `
  select 'pg_type'::regclass::oid as class, t.oid as id, 'pg_class'::regclass::oid as part_class, c.oid as part_id
  ${RELATIONS} join pg_type t on t.typrelid = c.oid where c.relkind <> 'c'
  union all
  select 'pg_class'::regclass::oid, c.oid, 'pg_type'::regclass::oid, c.reltype ${RELATIONS} where c.relkind = 'c'
  union all
  select 'pg_type'::regclass::oid, t.oid, case when k.relkind <> 'c' then 'pg_class'::regclass::oid else 'pg_type'::regclass::oid end,
    case when k.relkind <> 'c' then k.oid else e.oid end
  from pg_type t join pg_namespace n on n.oid = t.typnamespace and n.nspname = $1 join pg_type e on e.typarray = t.oid
  left join pg_class k on k.oid = e.typrelid
  union all
  select 'pg_attrdef'::regclass::oid, d.oid, 'pg_class'::regclass::oid, c.oid
  ${RELATIONS} join pg_attrdef d on d.adrelid = c.oid join pg_attribute a on a.attrelid = c.oid and a.attnum = d.adnum and a.attgenerated <> ''
  union all
  select 'pg_rewrite'::regclass::oid, r.oid, 'pg_class'::regclass::oid, c.oid
  ${RELATIONS} join pg_rewrite r on r.ev_class = c.oid and r.rulename = '_RETURN'
  union all
  select 'pg_class'::regclass::oid, k.conindid, 'pg_constraint'::regclass::oid, k.oid
  ${RELATIONS} join pg_constraint k on k.conrelid = c.oid and k.contype in ('p', 'u', 'x')
  union all
  select 'pg_constraint'::regclass::oid, k.oid, 'pg_type'::regclass::oid, k.contypid
  from pg_constraint k join pg_type t on t.oid = k.contypid join pg_namespace n on n.oid = t.typnamespace and n.nspname = $1
  union all
  select 'pg_class'::regclass::oid, s.oid, 'pg_class'::regclass::oid, c.oid
  ${RELATIONS} join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.deptype = 'i'
    and d.classid = 'pg_class'::regclass join pg_class s on s.oid = d.objid and s.relkind = 'S'`
