import type { Catalogue, ForeignKey, Relation } from '../../catalogue/catalogue.ts'
import type { Embed } from '../grammar/ast.ts'
import { RestError } from '../rest-error.ts'
import { closest, PUBLIC_SCHEMA, UnknownNameError } from './names.ts'
import type { Relationship } from './plan.ts'

type Candidate = Relationship & {
  kind: 'many-to-one' | 'one-to-one' | 'one-to-many' | 'many-to-many'
  /** Constraints that it rests on, and the parent's and the child's column where the key has just one. */
  constraints: readonly string[]
  parentColumn?: string
  childColumn?: string
}

/**
 * The foreign key, or pair of them, by which `embed` hangs on `parent`, chosen by the embed's target and hint; or the function of
 * that name which makes rows of the parent's row, as it overrides what keys say (PostgREST's computed relationships).
 * @throws RestError PGRST200 (none) or PGRST201 (several fit).
 */
export function findRelationship(catalogue: Catalogue, parent: Relation, embed: Embed): Relationship {
  const { relation: target, hint } = embed
  const computed = findComputed(catalogue, parent, target)
  if (computed !== undefined) return computed
  const matching = candidatesOf(catalogue, parent).filter((candidate) =>
    hint === undefined
      ? candidate.target.name === target || isNamedByKey(candidate, target)
      : candidate.target.name === target && isHintedBy(candidate, hint),
  )
  const [first, second] = matching
  if (first === undefined) throw noRelationship(catalogue, parent, target, hint)
  if (second === undefined) return first
  // A self reference gives the same key in both directions: the many side is meant; the column's name gives the other.
  const isSelf = first.target.name === parent.name && first.constraints[0] === second.constraints[0]
  if (matching.length === 2 && isSelf) return first.kind === 'one-to-many' ? first : second
  throw ambiguous(parent, target, matching)
}

function findComputed(catalogue: Catalogue, parent: Relation, name: string): Relationship | undefined {
  for (const { rowOf, returns, returnsOne } of catalogue.functions.get(name) ?? []) {
    if (rowOf !== parent.name || returns.kind !== 'relation') continue
    const target = catalogue.relations.get(returns.name)
    if (target === undefined) continue
    return { cardinality: returnsOne ? 'to-one' : 'to-many', target, pairs: [], computedBy: name }
  }
  return undefined
}

function candidatesOf(catalogue: Catalogue, parent: Relation): readonly Candidate[] {
  const candidates: Candidate[] = []
  for (const key of catalogue.foreignKeys) {
    if (key.table === parent.name) {
      const target = catalogue.relations.get(key.referencedTable)
      if (target !== undefined) candidates.push(forward(key, parent, target))
    }
    if (key.referencedTable === parent.name) {
      const target = catalogue.relations.get(key.table)
      if (target !== undefined) candidates.push(backward(key, target))
    }
  }
  return [...candidates, ...throughJunctions(catalogue, parent)]
}

function forward(key: ForeignKey, parent: Relation, target: Relation): Candidate {
  return {
    kind: isUnique(parent, key.columns) ? 'one-to-one' : 'many-to-one',
    cardinality: 'to-one',
    target,
    pairs: key.columns.map((column, i) => ({ parent: column, child: key.referencedColumns[i] ?? '' })),
    constraints: [key.constraint],
    ...single(key.columns, key.referencedColumns),
  }
}

function backward(key: ForeignKey, target: Relation): Candidate {
  const isOne = isUnique(target, key.columns)
  return {
    kind: isOne ? 'one-to-one' : 'one-to-many',
    cardinality: isOne ? 'to-one' : 'to-many',
    target,
    pairs: key.columns.map((column, i) => ({ parent: key.referencedColumns[i] ?? '', child: column })),
    constraints: [key.constraint],
    ...single(key.referencedColumns, key.columns),
  }
}

/** A junction has a foreign key to each side, and its primary key covers the columns of both. */
function throughJunctions(catalogue: Catalogue, parent: Relation): readonly Candidate[] {
  const candidates: Candidate[] = []
  for (const near of catalogue.foreignKeys) {
    if (near.referencedTable !== parent.name) continue
    const junction = catalogue.relations.get(near.table)
    if (junction === undefined) continue
    for (const far of catalogue.foreignKeys) {
      if (far.table !== near.table || far.constraint === near.constraint) continue
      const target = catalogue.relations.get(far.referencedTable)
      const isCovered = [...near.columns, ...far.columns].every((column) => junction.primaryKey.includes(column))
      if (target === undefined || !isCovered) continue
      candidates.push({
        kind: 'many-to-many',
        cardinality: 'to-many',
        target,
        pairs: near.columns.map((column, i) => ({ parent: near.referencedColumns[i] ?? '', child: column })),
        junction: {
          relation: junction,
          pairs: far.columns.map((column, i) => ({ junction: column, child: far.referencedColumns[i] ?? '' })),
        },
        constraints: [near.constraint, far.constraint],
      })
    }
  }
  return candidates
}

/** `constraint(*)` or `column(*)` instead of the target's name. */
function isNamedByKey(candidate: Candidate, name: string): boolean {
  if (candidate.kind === 'many-to-many' || candidate.target.kind !== 'table') return false
  if (candidate.constraints[0] === name) return true
  return candidate.cardinality === 'to-one' && candidate.parentColumn === name
}

function isHintedBy(candidate: Candidate, hint: string): boolean {
  return (
    candidate.constraints.includes(hint) ||
    candidate.parentColumn === hint ||
    candidate.childColumn === hint ||
    candidate.junction?.relation.name === hint
  )
}

function single(parent: readonly string[], child: readonly string[]): { parentColumn?: string; childColumn?: string } {
  const [parentColumn, childColumn] = [parent[0], child[0]]
  return parent.length === 1 && parentColumn !== undefined && childColumn !== undefined
    ? { parentColumn, childColumn }
    : {}
}

function isUnique(relation: Relation, columns: readonly string[]): boolean {
  return relation.uniques.some(
    (unique) => unique.length === columns.length && columns.every((column) => unique.includes(column)),
  )
}

function noRelationship(catalogue: Catalogue, parent: Relation, target: string, hint: string | undefined): RestError {
  const similar = catalogue.relations.has(target) ? undefined : closest(target, catalogue.relations.keys())
  const byHint = hint === undefined ? '' : ` using the hint '${hint}'`
  return new UnknownNameError(
    400,
    'PGRST200',
    `Could not find a relationship between '${parent.name}' and '${target}' in the schema cache`,
    {
      details: `Searched for a foreign key relationship between '${parent.name}' and '${target}'${byHint} in the schema '${PUBLIC_SCHEMA}', but no matches were found.`,
      hint: similar === undefined ? null : `Perhaps you meant '${similar}' instead of '${target}'.`,
    },
  )
}

function ambiguous(parent: Relation, target: string, candidates: readonly Candidate[]): RestError {
  const describe = (candidate: Candidate) => {
    const columns = (names: readonly string[]) => `(${names.join(', ')})`
    const near = candidate.pairs.map((pair) => pair.parent)
    const far = candidate.pairs.map((pair) => pair.child)
    if (candidate.junction !== undefined) {
      const [one, two] = candidate.constraints
      const through = candidate.junction.pairs.map((pair) => pair.junction)
      return `${candidate.junction.relation.name} using ${one}${columns(far)} and ${two}${columns(through)}`
    }
    return `${candidate.constraints[0]} using ${parent.name}${columns(near)} and ${candidate.target.name}${columns(far)}`
  }
  const hints = candidates.map(
    (candidate) => `'${target}!${candidate.junction?.relation.name ?? candidate.constraints[0]}'`,
  )
  return new RestError(
    300,
    'PGRST201',
    `Could not embed because more than one relationship was found for '${parent.name}' and '${target}'`,
    {
      details: candidates.map((candidate) => ({
        cardinality: candidate.kind,
        embedding: `${parent.name} with ${candidate.target.name}`,
        relationship: describe(candidate),
      })),
      hint: `Try changing '${target}' to one of the following: ${hints.join(', ')}. Find the desired relationship in the 'details' key.`,
    },
  )
}
