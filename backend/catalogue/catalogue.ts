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
}

export type Relation = {
  name: string
  kind: 'table' | 'view' | 'materialized view' | 'foreign table'
  columns: ReadonlyMap<string, Column>
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
