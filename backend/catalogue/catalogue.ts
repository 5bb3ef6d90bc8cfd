/** The column that carries the tenant in every table of ours. It does not exist as far as a tenant can tell. */
export const TENANT_COLUMN = 'tenant_id'

export type Column = {
  name: string
  /** The type as SQL text, qualified and quoted by Postgres (`format_type`). */
  type: string
  /** The unqualified name in pg_type, such as `int4` or `_text`. */
  typeName: string
  nullable: boolean
  hasDefault: boolean
  /** Computed by Postgres: never written. */
  generated: boolean
  identity: '' | 'a' | 'd'
  /** The default's SQL text, where there is one. */
  defaultText: string | null
  comment: string | null
  /** For a computed column: the function of the row that gives its value. It is no part of the relation, so of no `*`. */
  computedBy?: string
}

export type Relation = {
  name: string
  kind: 'table' | 'view' | 'materialized view' | 'foreign table'
  columns: ReadonlyMap<string, Column>
  /** What functions of one argument, a row of this relation, add to it (PostgREST's computed fields), by name. */
  computedColumns: ReadonlyMap<string, Column>
  primaryKey: readonly string[]
  /** Column lists of unique constraints and indexes, the primary key's among them. */
  uniques: readonly (readonly string[])[]
  insertable: boolean
  updatable: boolean
  deletable: boolean
  comment: string | null
}

export type ForeignKey = {
  constraint: string
  table: string
  columns: readonly string[]
  referencedTable: string
  referencedColumns: readonly string[]
}

export type FunctionArgument = { name: string; type: string; hasDefault: boolean; isVariadic: boolean }

/** A function that `/rpc` can call. */
export type CallableFunction = {
  name: string
  volatility: 'immutable' | 'stable' | 'volatile'
  arguments: readonly FunctionArgument[]
  returnsSet: boolean
  /** Gives one row at most: no set, or a set that is declared so (`rows 1`). */
  returnsOne: boolean
  /** The relation whose row is the one argument. */
  rowOf: string | null
  /** Rows of a relation, rows of its own columns, values, or nothing. */
  returns:
    | { kind: 'relation'; name: string }
    | { kind: 'record'; columns: readonly Column[] }
    | { kind: 'scalar'; type: string }
    | { kind: 'void' }
  comment: string | null
}

/** What a tenant's schema holds, without what is ours. */
export type Catalogue = {
  /** Of this reading of the catalogue; a later one has another. */
  id: number
  schema: string
  relations: ReadonlyMap<string, Relation>
  foreignKeys: readonly ForeignKey[]
  /** By name; several under one name are overloads. */
  functions: ReadonlyMap<string, readonly CallableFunction[]>
  /** Names of the schema's own types (enums, domains) that a cast may name. */
  types: ReadonlySet<string>
  /** Rough size in memory, in bytes. */
  weight: number
}
