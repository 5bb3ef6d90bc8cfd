import { z } from 'zod'
import { objectsOfSchema } from '../../runtime/objects-of-schema.ts'
import { OWN_TABLE_PREFIXES } from '../../tenancy/own-tables.ts'
import type { Statement } from '../postgres/statement.ts'
import { type CallableFunction, type Catalogue, type Column, type Relation, TENANT_COLUMN } from './catalogue.ts'
import { deriveViewKeys, readColumnOrigins, type StoredRelation } from './view-keys.ts'

/**
 * One row, one column: what the schema `$1` holds, as JSON. It reads pg_catalog only, so the search path being empty makes
 * `format_type` qualify every type that is not Postgres's own.
 */
const LOAD = `
with rel as (
  select c.oid, c.relname, c.relkind, pg_relation_is_updatable(c.oid, true) as events
  from pg_class c where c.oid = any ${objectsOfSchema('pg_class')} and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
    -- Our own books beside the tenant's tables.
    and not c.relname::text ^@ any (array[${OWN_TABLE_PREFIXES.map((prefix) => `'${prefix}'`).join(', ')}])
),
names as (
  select conrelid, conname, contype, confrelid,
    (select array_agg(a.attname order by k.ord) from unnest(con.conkey) with ordinality k(num, ord)
      join pg_attribute a on a.attrelid = con.conrelid and a.attnum = k.num) as columns,
    (select array_agg(a.attname order by k.ord) from unnest(con.confkey) with ordinality k(num, ord)
      join pg_attribute a on a.attrelid = con.confrelid and a.attnum = k.num) as referenced
  from pg_constraint con
  where con.conrelid = any (array(select oid from rel)) and con.contype in ('p', 'f') and con.conparentid = 0
)
select json_build_object(
  'relations', (select coalesce(json_agg(json_build_object(
    'name', rel.relname,
    'oid', rel.oid::int8,
    'storedQuery', (select ev_action::text from pg_rewrite where ev_class = rel.oid and rel.relkind in ('v', 'm') and ev_type = '1'),
    'kind', rel.relkind,
    'insertable', rel.events & 8 = 8,
    'updatable', rel.events & 4 = 4,
    'deletable', rel.events & 16 = 16,
    'comment', obj_description(rel.oid, 'pg_class'),
    'columns', (select coalesce(json_agg(json_build_object(
        'name', a.attname,
        'position', a.attnum,
        'type', format_type(a.atttypid, a.atttypmod),
        'typeName', t.typname,
        'nullable', not (a.attnotnull or (t.typtype = 'd' and t.typnotnull)),
        'hasDefault', a.atthasdef or a.attidentity <> '',
        'generated', a.attgenerated <> '',
        'identity', a.attidentity,
        'defaultText', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end,
        'comment', col_description(a.attrelid, a.attnum)
      ) order by a.attnum), '[]')
      from pg_attribute a
      join pg_type t on t.oid = a.atttypid
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = rel.oid and a.attnum > 0 and not a.attisdropped and a.attname <> '${TENANT_COLUMN}'),
    'primaryKey', (select names.columns from names where names.conrelid = rel.oid and names.contype = 'p'),
    'uniques', (select coalesce(json_agg((select json_agg(a.attname order by k.ord)
        from unnest(i.indkey::int2[]) with ordinality k(num, ord)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num where k.ord <= i.indnkeyatts)), '[]')
      from pg_index i where i.indrelid = rel.oid and i.indisunique and i.indisvalid
        and i.indpred is null and i.indexprs is null)
  ) order by rel.relname), '[]') from rel),
  'foreignKeys', (select coalesce(json_agg(json_build_object(
    'constraint', names.conname,
    'table', rel.relname,
    'columns', names.columns,
    'referencedTable', target.relname,
    'referencedColumns', names.referenced
  ) order by rel.relname, names.conname), '[]')
    from names join rel on rel.oid = names.conrelid join rel target on target.oid = names.confrelid
    where names.contype = 'f'),
  'functions', (select coalesce(json_agg(json_build_object(
    'name', p.proname,
    'volatility', p.provolatile,
    'returnsSet', p.proretset,
    'returnsOne', not p.proretset or p.prorows = 1,
    'rowOf', (select rel.relname from rel join pg_type r on r.typrelid = rel.oid where p.pronargs = 1 and r.oid = p.proargtypes[0]),
    'returnType', format_type(p.prorettype, null),
    'returnRelation', (select rel.relname from rel where rel.oid = t.typrelid),
    'variadic', p.provariadic <> 0,
    'defaults', p.pronargdefaults,
    'comment', obj_description(p.oid, 'pg_proc'),
    'arguments', (select coalesce(json_agg(json_build_object(
        'name', coalesce(p.proargnames[k.ord], ''),
        'type', format_type(k.type, null),
        'typeName', (select typname from pg_type where oid = k.type),
        'mode', coalesce(p.proargmodes[k.ord]::text, 'i')) order by k.ord), '[]')
      from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality k(type, ord))
  ) order by p.proname, p.oid), '[]')
    from pg_proc p join pg_type t on t.oid = p.prorettype
    where p.oid = any ${objectsOfSchema('pg_proc')} and p.prokind = 'f' and t.typname not in ('trigger', 'event_trigger')),
  'types', (select coalesce(json_agg(t.typname), '[]') from pg_type t
    where t.oid = any ${objectsOfSchema('pg_type')} and t.typtype in ('e', 'd'))
)::text`

const columnSchema = z.object({
  name: z.string(),
  position: z.number(),
  type: z.string(),
  typeName: z.string(),
  nullable: z.boolean(),
  hasDefault: z.boolean(),
  generated: z.boolean(),
  identity: z.enum(['', 'a', 'd']),
  defaultText: z.string().nullable(),
  comment: z.string().nullable(),
})

const documentSchema = z.object({
  relations: z.array(
    z.object({
      name: z.string(),
      oid: z.number(),
      storedQuery: z.string().nullable(),
      kind: z.enum(['r', 'p', 'v', 'm', 'f']),
      insertable: z.boolean(),
      updatable: z.boolean(),
      deletable: z.boolean(),
      comment: z.string().nullable(),
      columns: z.array(columnSchema),
      primaryKey: z.array(z.string()).nullable(),
      uniques: z.array(z.array(z.string()).nullable()),
    }),
  ),
  foreignKeys: z.array(
    z.object({
      constraint: z.string(),
      table: z.string(),
      columns: z.array(z.string()),
      referencedTable: z.string(),
      referencedColumns: z.array(z.string()),
    }),
  ),
  functions: z.array(
    z.object({
      name: z.string(),
      volatility: z.enum(['i', 's', 'v']),
      returnsSet: z.boolean(),
      returnsOne: z.boolean(),
      rowOf: z.string().nullable(),
      returnType: z.string(),
      returnRelation: z.string().nullable(),
      variadic: z.boolean(),
      defaults: z.number(),
      comment: z.string().nullable(),
      arguments: z.array(
        z.object({ name: z.string(), type: z.string(), typeName: z.string(), mode: z.enum(['i', 'o', 'b', 'v', 't']) }),
      ),
    }),
  ),
  types: z.array(z.string()),
})

const KINDS = { r: 'table', p: 'table', v: 'view', m: 'materialized view', f: 'foreign table' } as const

/** The statement that reads the catalogue of `schema`. */
export function loadCatalogueStatement(schema: string): Statement {
  return { text: LOAD, values: [schema] }
}

let nextId = 1

/** Reads what `loadCatalogueStatement` gave. */
export function parseCatalogue(schema: string, text: string): Catalogue {
  const document = documentSchema.parse(JSON.parse(text))
  const functions = document.functions.map(readFunction)
  const computed = Map.groupBy(functions.filter(isComputedColumn), (callable) => callable.rowOf)
  const relations = new Map<string, Relation>()
  const stored: StoredRelation[] = []
  let storedQueriesLength = 0
  for (const { oid, storedQuery, kind, columns, primaryKey, uniques, ...rest } of document.relations) {
    const columnPositions = new Map(columns.map((column) => [column.position, column.name]))
    stored.push({ oid, name: rest.name, columnPositions, origins: readColumnOrigins(storedQuery ?? '') })
    storedQueriesLength += storedQuery?.length ?? 0
    relations.set(rest.name, {
      ...rest,
      kind: KINDS[kind],
      columns: new Map(columns.map(({ position: _, ...column }): [string, Column] => [column.name, column])),
      computedColumns: new Map((computed.get(rest.name) ?? []).map((callable) => [callable.name, asColumn(callable)])),
      primaryKey: (primaryKey ?? []).filter((name) => name !== TENANT_COLUMN),
      uniques: uniques.filter((names) => names !== null),
    })
  }
  const foreignKeys = document.foreignKeys.filter(
    (key) => !key.columns.includes(TENANT_COLUMN) && !key.referencedColumns.includes(TENANT_COLUMN),
  )
  return {
    id: nextId++,
    schema,
    ...deriveViewKeys(relations, stored, foreignKeys),
    functions: Map.groupBy(functions, (callable) => callable.name),
    types: new Set(document.types),
    weight: (text.length - storedQueriesLength) * 3 + 500,
  }
}

/** A value made of a row; what gives rows is a computed relationship. */
function isComputedColumn(callable: CallableFunction): boolean {
  return callable.rowOf !== null && callable.returns.kind === 'scalar' && !callable.returnsSet
}

function asColumn(callable: CallableFunction): Column {
  const type = callable.returns.kind === 'scalar' ? callable.returns.type : ''
  return { ...valueColumn(callable.name, type, type), comment: callable.comment, computedBy: callable.name }
}

/** A column that is no table's: it can be read and nothing else. */
function valueColumn(name: string, type: string, typeName: string): Column {
  return {
    name,
    type,
    typeName,
    nullable: true,
    hasDefault: false,
    generated: false,
    identity: '',
    defaultText: null,
    comment: null,
  }
}

const VOLATILITIES = { i: 'immutable', s: 'stable', v: 'volatile' } as const

function readFunction(row: z.output<typeof documentSchema>['functions'][number]): CallableFunction {
  const inputs = row.arguments.filter((argument) => argument.mode !== 'o' && argument.mode !== 't')
  const outputs = row.arguments.filter((argument) => argument.mode !== 'i' && argument.mode !== 'v')
  const columns = outputs
    .filter((output) => output.name !== TENANT_COLUMN)
    .map((output) => valueColumn(output.name, output.type, output.typeName))
  return {
    name: row.name,
    volatility: VOLATILITIES[row.volatility],
    arguments: inputs.map((argument, i) => ({
      name: argument.name,
      type: argument.type,
      hasDefault: i >= inputs.length - row.defaults,
      isVariadic: row.variadic && i === inputs.length - 1,
    })),
    returnsSet: row.returnsSet,
    returnsOne: row.returnsOne,
    rowOf: row.rowOf,
    returns:
      row.returnRelation !== null
        ? { kind: 'relation', name: row.returnRelation }
        : outputs.length > 0
          ? { kind: 'record', columns }
          : row.returnType === 'void'
            ? { kind: 'void' }
            : { kind: 'scalar', type: row.returnType },
    comment: row.comment,
  }
}
