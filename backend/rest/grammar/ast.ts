/** A step into a JSON value: `->key`, `->>key`, `->0`. */
export type JsonStep = { asText: boolean; key: string } | { asText: boolean; index: number }

/** A column and a path into it. */
export type Field = { name: string; path: readonly JsonStep[] }

export const AGGREGATES = ['sum', 'avg', 'count', 'max', 'min'] as const
export type Aggregate = (typeof AGGREGATES)[number]

export type SelectItem =
  | { kind: 'star' }
  | { kind: 'field'; field: Field; alias?: string; cast?: string; aggregate?: Aggregate; aggregateCast?: string }
  | { kind: 'count'; alias?: string; cast?: string }
  | Embed

/** Another relation inside the answer: `alias:relation!hint!inner(items)`; `...relation(items)` puts its columns beside ours. */
export type Embed = {
  kind: 'embed'
  relation: string
  alias?: string
  hint?: string
  inner: boolean
  spread: boolean
  items: readonly SelectItem[]
}

export const BINARY_OPERATORS = {
  eq: '=',
  neq: '<>',
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
  like: 'like',
  ilike: 'ilike',
  match: '~',
  imatch: '~*',
  isdistinct: 'is distinct from',
  cs: '@>',
  cd: '<@',
  ov: '&&',
  sl: '<<',
  sr: '>>',
  nxr: '&<',
  nxl: '&>',
  adj: '-|-',
} as const
export type BinaryOperator = keyof typeof BINARY_OPERATORS

export const QUANTIFIABLE: ReadonlySet<string> = new Set([
  'eq',
  'gt',
  'gte',
  'lt',
  'lte',
  'like',
  'ilike',
  'match',
  'imatch',
])

export const SEARCH_FUNCTIONS = {
  fts: 'to_tsquery',
  plfts: 'plainto_tsquery',
  phfts: 'phraseto_tsquery',
  wfts: 'websearch_to_tsquery',
} as const
export type SearchOperator = keyof typeof SEARCH_FUNCTIONS

export type IsValue = 'null' | 'not_null' | 'true' | 'false' | 'unknown'

export type Operation =
  | {
      kind: 'binary'
      operator: BinaryOperator
      quantifier?: 'any' | 'all'
      value: string
      /** The query parameter that the value is the rest of, where another value would change nothing else. */
      parameter?: number
    }
  | { kind: 'in'; values: readonly string[] }
  | { kind: 'is'; value: IsValue }
  | { kind: 'search'; operator: SearchOperator; config?: string; value: string }

export type Filter = { field: Field; negated: boolean; operation: Operation }

export type LogicTree =
  | { kind: 'filter'; filter: Filter }
  | { kind: 'group'; operator: 'and' | 'or'; negated: boolean; children: readonly LogicTree[] }

export type OrderTerm = {
  field: Field
  /** Order by a column of this to-one embed. */
  relation?: string
  direction?: 'asc' | 'desc'
  nulls?: 'first' | 'last'
}

/** A part of the query with the embed it is for; the empty path is the root. */
export type At<T> = { path: readonly string[]; value: T }

/** All that the query string of a request on a relation can say. */
export type ParsedQuery = {
  select: readonly SelectItem[]
  conditions: readonly At<LogicTree>[]
  orders: readonly At<readonly OrderTerm[]>[]
  limits: readonly At<number>[]
  offsets: readonly At<number>[]
  columns: readonly string[] | undefined
  onConflict: readonly string[] | undefined
}
