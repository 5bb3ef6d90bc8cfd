import type { Catalogue, Column, Relation } from '../../catalogue/catalogue.ts'
import type { At, Field, Filter, LogicTree, OrderTerm, ParsedQuery, SelectItem } from '../grammar/ast.ts'
import { RestError } from '../rest-error.ts'
import { resolveCast } from './cast-types.ts'
import { findColumn } from './names.ts'
import type { ColumnRef, Condition, EmbedPlan, Ordering, Output, ReadPlan } from './plan.ts'
import { findRelationship } from './relationships.ts'

export type ReadLimits = { maxRows: number; aggregates: boolean }

/** The parts of the query that have not found their embed yet. */
type Parts = Pick<ParsedQuery, 'conditions' | 'orders' | 'limits' | 'offsets'>

/**
 * Resolves a parsed query against the catalogue: every relation, column, type and foreign key that it names is known and
 * the tenant's own, or it is refused here.
 */
export function planRead(catalogue: Catalogue, relation: Relation, query: ParsedQuery, limits: ReadLimits): ReadPlan {
  return planLevel({ catalogue, limits }, relation, query.select, query)
}

type Scope = { catalogue: Catalogue; limits: ReadLimits }

function planLevel(scope: Scope, relation: Relation, items: readonly SelectItem[], parts: Parts): ReadPlan {
  const embeds = planEmbeds(scope, relation, items, parts)
  const outputs = planOutputs(scope, relation, items, embeds)
  const here = <T>(list: readonly At<T>[]) => list.filter((part) => part.path.length === 0).map((part) => part.value)
  const byName = new Map([...embeds.values()].map((embed): [string, EmbedPlan] => [embed.name, embed]))
  const asked = here(parts.limits).at(-1)
  return {
    relation,
    outputs,
    conditions: here(parts.conditions).map((tree) => planCondition(relation, byName, tree)),
    order: here(parts.orders)
      .flat()
      .map((term) => planOrdering(relation, byName, term)),
    limit: asked === undefined ? scope.limits.maxRows : Math.min(Math.max(asked, 0), scope.limits.maxRows),
    offset: Math.max(here(parts.offsets).at(-1) ?? 0, 0),
  }
}

/** Plans each embed with the parts of the query that name it. @throws RestError PGRST108 when a part names none. */
function planEmbeds(
  scope: Scope,
  relation: Relation,
  items: readonly SelectItem[],
  parts: Parts,
): ReadonlyMap<SelectItem, EmbedPlan> {
  const embeds = new Map<SelectItem, EmbedPlan>()
  const names = new Set<string>()
  for (const item of items) {
    if (item.kind !== 'embed') continue
    const name = item.alias ?? item.relation
    names.add(name)
    const below = <T>(list: readonly At<T>[]) =>
      list.filter((part) => part.path[0] === name).map((part) => ({ path: part.path.slice(1), value: part.value }))
    const relationship = findRelationship(scope.catalogue, relation, item)
    if (item.spread && relationship.cardinality !== 'to-one')
      throw new RestError(400, 'PGRST119', `A spread operation on '${item.relation}' is not possible`, {
        details: `'${relation.name}' and '${item.relation}' do not form a many-to-one or one-to-one relationship`,
      })
    embeds.set(item, {
      name,
      relationship,
      inner: item.inner,
      spread: item.spread,
      read: planLevel(scope, relationship.target, item.items, {
        conditions: below(parts.conditions),
        orders: below(parts.orders),
        limits: below(parts.limits),
        offsets: below(parts.offsets),
      }),
    })
  }
  for (const list of [parts.conditions, parts.orders, parts.limits, parts.offsets])
    for (const { path } of list)
      if (path[0] !== undefined && !names.has(path[0]))
        throw new RestError(400, 'PGRST108', `'${path[0]}' is not an embedded resource in this request`, {
          hint: `Verify that '${path[0]}' is included in the 'select' query parameter.`,
        })
  return embeds
}

function planOutputs(
  scope: Scope,
  relation: Relation,
  items: readonly SelectItem[],
  embeds: ReadonlyMap<SelectItem, EmbedPlan>,
): readonly Output[] {
  return items.flatMap((item): Output[] => {
    if (item.kind === 'star')
      return [...relation.columns.values()].map((column) => ({
        kind: 'column',
        name: column.name,
        source: { column, path: [] },
      }))
    if (item.kind === 'embed') {
      const embed = embeds.get(item)
      return embed === undefined ? [] : [{ kind: 'embed', embed }]
    }
    const cast = item.cast === undefined ? {} : { cast: resolveCast(scope.catalogue, item.cast) }
    if (item.kind === 'count' || isLegacyCount(relation, item)) {
      refuseAggregatesUnlessAllowed(scope)
      return [{ kind: 'count', name: item.alias ?? 'count', ...cast }]
    }
    if (item.aggregate !== undefined) refuseAggregatesUnlessAllowed(scope)
    return [
      {
        kind: 'column',
        name: item.alias ?? item.aggregate ?? defaultName(item.field),
        source: resolveField(relation, item.field),
        ...cast,
        ...(item.aggregate === undefined ? {} : { aggregate: item.aggregate }),
        ...(item.aggregateCast === undefined
          ? {}
          : { aggregateCast: resolveCast(scope.catalogue, item.aggregateCast) }),
      },
    ]
  })
}

/** `select=books(count)`: from before there were aggregates, and still what clients write. */
function isLegacyCount(relation: Relation, item: Extract<SelectItem, { kind: 'field' }>): boolean {
  return (
    item.field.name === 'count' &&
    item.field.path.length === 0 &&
    item.aggregate === undefined &&
    !relation.columns.has('count')
  )
}

function refuseAggregatesUnlessAllowed(scope: Scope): void {
  if (!scope.limits.aggregates) throw new RestError(400, 'PGRST123', 'Use of aggregate functions is not allowed')
}

/** A JSON path is named by its last key. */
function defaultName(field: Field): string {
  for (const step of field.path.toReversed()) {
    if (!('key' in step)) continue
    // Here a value of the request becomes a name in SQL text, which the wire protocol ends at a zero byte.
    if (/\p{Cc}/u.test(step.key))
      throw new RestError(400, 'PGRST100', 'A JSON key with control characters needs an alias in select')
    return step.key
  }
  return field.name
}

function resolveField(relation: Relation, field: Field): ColumnRef {
  const column: Column = findColumn(relation, field.name)
  return { column, path: field.path }
}

function planCondition(relation: Relation, embeds: ReadonlyMap<string, EmbedPlan>, tree: LogicTree): Condition {
  if (tree.kind === 'group')
    return { ...tree, children: tree.children.map((child) => planCondition(relation, embeds, child)) }
  return planFilter(relation, embeds, tree.filter)
}

function planFilter(relation: Relation, embeds: ReadonlyMap<string, EmbedPlan>, filter: Filter): Condition {
  const { operation, negated } = filter
  const embed = embeds.get(filter.field.name)
  if (embed !== undefined && filter.field.path.length === 0 && !embed.spread && operation.kind === 'is') {
    const isNull = operation.value === 'null' ? !negated : operation.value === 'not_null' ? negated : undefined
    if (isNull !== undefined) return { kind: 'embed', embed, isNull }
  }
  return { kind: 'filter', source: resolveField(relation, filter.field), negated, operation }
}

function planOrdering(relation: Relation, embeds: ReadonlyMap<string, EmbedPlan>, term: OrderTerm): Ordering {
  const rest = {
    ...(term.direction === undefined ? {} : { direction: term.direction }),
    ...(term.nulls === undefined ? {} : { nulls: term.nulls }),
  }
  if (term.relation === undefined) return { source: resolveField(relation, term.field), ...rest }
  const embed = embeds.get(term.relation)
  if (embed === undefined)
    throw new RestError(400, 'PGRST108', `'${term.relation}' is not an embedded resource in this request`, {
      hint: `Verify that '${term.relation}' is included in the 'select' query parameter.`,
    })
  if (embed.relationship.cardinality !== 'to-one')
    throw new RestError(400, 'PGRST118', `A related order on '${term.relation}' is not possible`, {
      details: `'${relation.name}' and '${term.relation}' do not form a many-to-one or one-to-one relationship`,
    })
  return { source: resolveField(embed.relationship.target, term.field), embed, ...rest }
}
