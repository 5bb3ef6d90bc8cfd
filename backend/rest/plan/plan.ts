import type { Column, Relation } from '../../catalogue/catalogue.ts'
import type { Aggregate, JsonStep, Operation } from '../grammar/ast.ts'

/** A column that the catalogue knows, and a path into its JSON value. */
export type ColumnRef = { column: Column; path: readonly JsonStep[] }

/**
 * How an embedded relation hangs on its parent: `parent[i] = child[i]`, by way of a junction table, or computed: the rows that a
 * function makes of the parent's row.
 */
export type Relationship = {
  cardinality: 'to-one' | 'to-many'
  target: Relation
  /** Pairs of a parent's column and the child's (or, with a junction, the junction's). */
  pairs: readonly { parent: string; child: string }[]
  junction?: { relation: Relation; pairs: readonly { junction: string; child: string }[] }
  computedBy?: string
}

export type Output =
  | {
      kind: 'column'
      name: string
      source: ColumnRef
      /** A type as SQL text. */
      cast?: string
      aggregate?: Aggregate
      aggregateCast?: string
    }
  | { kind: 'count'; name: string; cast?: string }
  | { kind: 'embed'; embed: EmbedPlan }

export type Condition =
  | { kind: 'filter'; source: ColumnRef; negated: boolean; operation: Operation }
  /** Whether the embed has a row: `embed=is.null`, `embed=not.is.null`. */
  | { kind: 'embed'; embed: EmbedPlan; isNull: boolean }
  | { kind: 'group'; operator: 'and' | 'or'; negated: boolean; children: readonly Condition[] }

export type Ordering = {
  source: ColumnRef
  /** The to-one embed whose column it is; else the relation's own. */
  embed?: EmbedPlan
  direction?: 'asc' | 'desc'
  nulls?: 'first' | 'last'
}

export type ReadPlan = {
  relation: Relation
  outputs: readonly Output[]
  conditions: readonly Condition[]
  order: readonly Ordering[]
  limit: number | undefined
  offset: number
}

export type EmbedPlan = {
  name: string
  relationship: Relationship
  inner: boolean
  spread: boolean
  read: ReadPlan
}
