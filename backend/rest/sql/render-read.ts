import { quoteIdentifier } from '../../postgres/quote.ts'
import type { ColumnRef, Condition, EmbedPlan, Ordering, Output, ReadPlan } from '../plan/plan.ts'
import { type Level, type Place, renderColumn, renderCondition, renderOfRow } from './render-condition.ts'
import type { SqlBuilder } from './sql-builder.ts'

/** What a level reads from: SQL text for `from`, the place of its columns, and what ties it to its parent. */
type From = Place & { text: string; where: readonly string[] }

/** The column of a query's source that has the whole row as a value; no column of a tenant's has control characters in its name. */
export const ROW = '"\u0001row"'

/** `select <outputs> from <relation> ...`: the rows of the plan, one JSON-ready column an output. */
export function renderRows(builder: SqlBuilder, plan: ReadPlan): string {
  const alias = builder.alias()
  return renderLevel(builder, plan, { text: `${builder.qualified(plan.relation.name)} ${alias}`, alias, where: [] }, [])
}

/** The same over `source`, a query name that gives the relation's columns; its conditions and range were applied there. */
export function renderRowsOf(builder: SqlBuilder, plan: ReadPlan, source: string): string {
  const alias = builder.alias()
  const rest: ReadPlan = { ...plan, conditions: plan.conditions.filter(isOnEmbed), limit: undefined, offset: 0 }
  return renderLevel(builder, rest, { text: `${source} ${alias}`, alias, row: `${alias}.${ROW}`, where: [] }, [])
}

/** The same over `source`, with the plan's conditions and range. */
export function renderRowsFrom(builder: SqlBuilder, plan: ReadPlan, source: string): string {
  const alias = builder.alias()
  return renderLevel(builder, plan, { text: `${source} ${alias}`, alias, row: `${alias}.${ROW}`, where: [] }, [])
}

/** One row for each row that the plan would give without its range: for counting. */
export function renderUnranged(builder: SqlBuilder, plan: ReadPlan): string {
  const alias = builder.alias()
  return renderOnes(builder, plan, { text: `${builder.qualified(plan.relation.name)} ${alias}`, alias, where: [] })
}

export function renderUnrangedFrom(builder: SqlBuilder, plan: ReadPlan, source: string): string {
  const alias = builder.alias()
  return renderOnes(builder, plan, { text: `${source} ${alias}`, alias, row: `${alias}.${ROW}`, where: [] })
}

function renderOnes(builder: SqlBuilder, plan: ReadPlan, from: From): string {
  const needed = plan.outputs.filter(
    (output) =>
      output.kind === 'embed' &&
      (output.embed.inner || plan.conditions.some((condition) => mentions(condition, output.embed))),
  )
  const level = joinEmbeds(builder, needed, from, [])
  const where = plan.conditions.map((condition) => renderCondition(builder, level, condition))
  return `select 1 from ${from.text}${level.joins}${whereClause(where)}`
}

export function renderWhere(builder: SqlBuilder, plan: ReadPlan, alias: string): string {
  const level: Level = { alias, embeds: new Map() }
  return whereClause(
    plan.conditions
      .filter((condition) => !isOnEmbed(condition))
      .map((condition) => renderCondition(builder, level, condition)),
  )
}

export function renderOrder(builder: SqlBuilder, order: readonly Ordering[], level: Level): string {
  if (order.length === 0) return ''
  const terms = order.map((ordering) => {
    const column =
      ordering.embed === undefined
        ? renderColumn(builder, level, ordering.source)
        : `${level.embeds.get(ordering.embed)}.${quoteIdentifier(orderName(ordering))}`
    const direction = ordering.direction === undefined ? '' : ` ${ordering.direction}`
    return `${column}${direction}${ordering.nulls === undefined ? '' : ` nulls ${ordering.nulls}`}`
  })
  return ` order by ${terms.join(', ')}`
}

/** `limit` and `offset` as bound values, so that pages of one query share a statement. */
export function renderRange(builder: SqlBuilder, plan: Pick<ReadPlan, 'limit' | 'offset'>): string {
  const limit = plan.limit === undefined ? '' : ` limit ${builder.bind(String(plan.limit))}::bigint`
  return plan.offset === 0 ? limit : `${limit} offset ${builder.bind(String(plan.offset))}::bigint`
}

/** The columns that `plan` reads of its own relation: what a mutation has to return. */
export function columnsRead(plan: ReadPlan): ReadonlySet<string> {
  const names = new Set<string>()
  for (const output of plan.outputs) {
    if (output.kind === 'column' && output.source.column.computedBy === undefined) names.add(output.source.column.name)
    if (output.kind === 'embed') for (const pair of output.embed.relationship.pairs) names.add(pair.parent)
  }
  for (const { embed, source } of plan.order)
    if (embed === undefined && source.column.computedBy === undefined) names.add(source.column.name)
  return names
}

/** Whether `plan` calls functions of its own relation's rows, for which its source has to have `ROW`. */
export function readsWholeRow({ outputs, conditions, order }: ReadPlan): boolean {
  const isComputed = (source: ColumnRef) => source.column.computedBy !== undefined
  const inCondition = (condition: Condition): boolean =>
    condition.kind === 'group'
      ? condition.children.some(inCondition)
      : condition.kind === 'filter' && isComputed(condition.source)
  return (
    outputs.some((output) =>
      output.kind === 'embed'
        ? output.embed.relationship.computedBy !== undefined
        : output.kind === 'column' && isComputed(output.source),
    ) ||
    conditions.some(inCondition) ||
    order.some((ordering) => ordering.embed === undefined && isComputed(ordering.source))
  )
}

function renderLevel(builder: SqlBuilder, plan: ReadPlan, from: From, hidden: readonly Ordering[]): string {
  const level = joinEmbeds(builder, plan.outputs, from, plan.order)
  const outputs = plan.outputs.flatMap((output) => renderOutput(builder, level, output, plan.outputs.some(isAggregate)))
  // What the parent orders by travels beside the outputs.
  for (const ordering of hidden)
    outputs.push(`${renderColumn(builder, from, ordering.source)} as ${quoteIdentifier(orderName(ordering))}`)
  const where = [...from.where, ...plan.conditions.map((condition) => renderCondition(builder, level, condition))]
  return [
    `select ${outputs.join(', ')} from ${from.text}${level.joins}`,
    whereClause(where),
    renderGrouping(plan.outputs),
    renderOrder(builder, plan.order, level),
    renderRange(builder, plan),
  ].join('')
}

function renderOutput(builder: SqlBuilder, level: Level, output: Output, isGrouped: boolean): readonly string[] {
  if (output.kind === 'count') {
    const count = 'pg_catalog.count(*)'
    return [
      `${output.cast === undefined ? count : `cast(${count} as ${output.cast})`} as ${quoteIdentifier(output.name)}`,
    ]
  }
  if (output.kind === 'column') {
    let text = renderColumn(builder, level, output.source)
    if (output.cast !== undefined) text = `cast(${text} as ${output.cast})`
    if (output.aggregate !== undefined) text = `pg_catalog.${output.aggregate}(${text})`
    if (output.aggregateCast !== undefined) text = `cast(${text} as ${output.aggregateCast})`
    return [`${text} as ${quoteIdentifier(output.name)}`]
  }
  const { embed } = output
  const alias = level.embeds.get(embed)
  if (embed.spread)
    return outputNames(embed.read).map((name) => `${alias}.${quoteIdentifier(name)} as ${quoteIdentifier(name)}`)
  if (embed.read.outputs.length === 0) return []
  const value = embed.relationship.cardinality === 'to-one' ? `${alias}.j` : `coalesce(${alias}.j, '[]'::json)`
  // Postgres compares jsonb, which grouping takes, but not json.
  return [`${value}${isGrouped ? '::jsonb' : ''} as ${quoteIdentifier(embed.name)}`]
}

function isAggregate(output: Output): boolean {
  return output.kind === 'count' || (output.kind === 'column' && output.aggregate !== undefined)
}

/** With aggregates, all other outputs are what is grouped by. */
function renderGrouping(outputs: readonly Output[]): string {
  if (!outputs.some(isAggregate)) return ''
  const ordinals: number[] = []
  let ordinal = 0
  for (const output of outputs) {
    const width =
      output.kind !== 'embed'
        ? 1
        : output.embed.spread
          ? outputNames(output.embed.read).length
          : Math.min(output.embed.read.outputs.length, 1)
    for (let i = 0; i < width; i++) {
      ordinal += 1
      if (!isAggregate(output)) ordinals.push(ordinal)
    }
  }
  return ordinals.length === 0 ? '' : ` group by ${ordinals.join(', ')}`
}

function outputNames(plan: ReadPlan): readonly string[] {
  return plan.outputs.flatMap((output) => {
    if (output.kind !== 'embed') return [output.name]
    if (output.embed.spread) return outputNames(output.embed.read)
    return output.embed.read.outputs.length === 0 ? [] : [output.embed.name]
  })
}

/** Joins each embed as a lateral subquery whose column `j` is its JSON (a spread one has its columns instead). */
function joinEmbeds(
  builder: SqlBuilder,
  outputs: readonly Output[],
  parent: Place,
  order: readonly Ordering[],
): Level & { joins: string } {
  const embeds = new Map<EmbedPlan, string>()
  let joins = ''
  for (const output of outputs) {
    if (output.kind !== 'embed') continue
    const { embed } = output
    const hidden = order.filter((ordering) => ordering.embed === embed)
    const joined = builder.alias()
    embeds.set(embed, joined)
    const isMany = embed.relationship.cardinality === 'to-many'
    const on = embed.inner && isMany && !embed.spread ? `${joined}.j is not null` : 'true'
    const subquery = renderEmbed(builder, embed, parent, hidden)
    joins += ` ${embed.inner ? 'join' : 'left join'} lateral (${subquery}) ${joined} on ${on}`
  }
  return { ...parent, embeds, joins }
}

function renderEmbed(builder: SqlBuilder, embed: EmbedPlan, parent: Place, hidden: readonly Ordering[]): string {
  const { relationship, read } = embed
  const alias = builder.alias()
  const equal = (left: string, leftName: string, right: string, rightName: string) =>
    `${left}.${quoteIdentifier(leftName)} = ${right}.${quoteIdentifier(rightName)}`
  const { computedBy } = relationship
  let text = `${computedBy === undefined ? builder.qualified(relationship.target.name) : renderOfRow(builder, computedBy, parent)} ${alias}`
  const where: string[] = []
  if (relationship.junction === undefined) {
    for (const pair of relationship.pairs) where.push(equal(alias, pair.child, parent.alias, pair.parent))
  } else {
    const through = builder.alias()
    text += `, ${builder.qualified(relationship.junction.relation.name)} ${through}`
    for (const pair of relationship.pairs) where.push(equal(through, pair.child, parent.alias, pair.parent))
    for (const pair of relationship.junction.pairs) where.push(equal(alias, pair.child, through, pair.junction))
  }
  const rows = renderLevel(builder, read, { text, alias, where }, hidden)
  if (embed.spread) return rows
  const row = builder.alias()
  if (relationship.cardinality === 'to-many') return `select pg_catalog.json_agg(${row}.*) as j from (${rows}) ${row}`
  if (hidden.length === 0) return `select pg_catalog.row_to_json(${row}.*) as j from (${rows}) ${row}`
  const names = outputNames(read).map((name) => `${row}.${quoteIdentifier(name)}`)
  const extra = hidden.map((ordering) => `${row}.${quoteIdentifier(orderName(ordering))}`)
  const inner = builder.alias()
  return `select (select pg_catalog.row_to_json(${inner}.*) from (select ${names.join(', ')}) ${inner}) as j, ${extra.join(', ')} from (${rows}) ${row}`
}

/** A name that no output of a client can have taken: control characters are refused in identifiers. */
function orderName(ordering: Ordering): string {
  return `\u0001${ordering.source.column.name}`
}

function whereClause(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`
}

function isOnEmbed(condition: Condition): boolean {
  if (condition.kind === 'group') return condition.children.some(isOnEmbed)
  return condition.kind === 'embed'
}

function mentions(condition: Condition, embed: EmbedPlan): boolean {
  if (condition.kind === 'group') return condition.children.some((child) => mentions(child, embed))
  return condition.kind === 'embed' && condition.embed === embed
}
