import { quoteIdentifier } from '../../postgres/quote.ts'
import { BINARY_OPERATORS, type Operation, SEARCH_FUNCTIONS } from '../grammar/ast.ts'
import type { ColumnRef, Condition, EmbedPlan } from '../plan/plan.ts'
import type { SqlBuilder } from './sql-builder.ts'

/** Under which alias a level's columns are found, and what its row as a value is called where `alias.*` is not of the relation's type. */
export type Place = { alias: string; row?: string }

/** Where a level's columns and embeds are found: the alias under which each embed was joined. */
export type Level = Place & { embeds: ReadonlyMap<EmbedPlan, string> }

/** A call of a function that takes the row at `place`. */
export function renderOfRow(builder: SqlBuilder, name: string, place: Place): string {
  return `${builder.qualified(name)}(${place.row ?? `${place.alias}.*`})`
}

/** A column at `place`, with the steps into its JSON value. */
export function renderColumn(builder: SqlBuilder, place: Place, source: ColumnRef): string {
  const { name, computedBy } = source.column
  const column =
    computedBy === undefined ? `${place.alias}.${quoteIdentifier(name)}` : renderOfRow(builder, computedBy, place)
  if (source.path.length === 0) return column
  const isJson = source.column.typeName === 'json' || source.column.typeName === 'jsonb'
  let text = isJson ? column : `pg_catalog.to_jsonb(${column})`
  for (const step of source.path) {
    const arrow = step.asText ? '->>' : '->'
    text += 'index' in step ? `${arrow}(${step.index})` : `${arrow}${builder.bind(step.key)}::text`
  }
  return `(${text})`
}

/** A condition as a boolean expression. */
export function renderCondition(builder: SqlBuilder, level: Level, condition: Condition): string {
  switch (condition.kind) {
    case 'group': {
      const children = condition.children.map((child) => renderCondition(builder, level, child))
      const joined = `(${children.join(` ${condition.operator} `)})`
      return condition.negated ? `(not ${joined})` : joined
    }
    case 'embed':
      return `${level.embeds.get(condition.embed)}.j is ${condition.isNull ? 'null' : 'not null'}`
    case 'filter': {
      const text = renderOperation(builder, renderColumn(builder, level, condition.source), condition)
      return condition.negated ? `(not ${text})` : text
    }
  }
}

function renderOperation(
  builder: SqlBuilder,
  column: string,
  { source, operation }: { source: ColumnRef; operation: Operation },
): string {
  switch (operation.kind) {
    case 'is':
      return `(${column} is ${operation.value === 'not_null' ? 'not null' : operation.value})`
    case 'in':
      return `(${column} = any (${builder.bind(arrayLiteral(operation.values))}))`
    case 'search': {
      const config = operation.config === undefined ? '' : `${builder.bind(operation.config)}::regconfig, `
      const vector =
        source.path.length === 0 && source.column.typeName === 'tsvector'
          ? column
          : `pg_catalog.to_tsvector(${config}${column})`
      return `(${vector} @@ pg_catalog.${SEARCH_FUNCTIONS[operation.operator]}(${config}${builder.bind(operation.value)}))`
    }
    case 'binary': {
      const isPattern = operation.operator === 'like' || operation.operator === 'ilike'
      const value = builder.bind(
        isPattern ? operation.value.replaceAll('*', '%') : operation.value,
        operation.parameter,
      )
      const right = operation.quantifier === undefined ? value : `${operation.quantifier} (${value})`
      return `(${column} ${BINARY_OPERATORS[operation.operator]} ${right})`
    }
  }
}

/** The text of a one-dimensional array of `values`. `in.()` is the empty one. */
export function arrayLiteral(values: readonly string[]): string {
  if (values.length === 1 && values[0] === '') return '{}'
  return `{${values.map((value) => `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`).join(',')}}`
}
