import type { Catalogue, Column, Relation } from '../../catalogue/catalogue.ts'
import { RestError } from '../rest-error.ts'

/** The one schema as a tenant's clients know it; its real name is nobody's business. */
export const PUBLIC_SCHEMA = 'public'

/** Marks faults that a newer catalogue might not give: the caller plans once more on a fresh one. */
export class UnknownNameError extends RestError {}

/** @throws UnknownNameError PGRST205. */
export function findRelation(catalogue: Catalogue, name: string): Relation {
  const relation = catalogue.relations.get(name)
  if (relation !== undefined) return relation
  const similar = closest(name, catalogue.relations.keys())
  throw new UnknownNameError(
    404,
    'PGRST205',
    `Could not find the table '${PUBLIC_SCHEMA}.${name}' in the schema cache`,
    { hint: similar === undefined ? null : `Perhaps you meant the table '${PUBLIC_SCHEMA}.${similar}'` },
  )
}

/** A column that is read, computed ones included. @throws UnknownNameError as Postgres words it. */
export function findColumn(relation: Relation, name: string): Column {
  const column = relation.columns.get(name) ?? relation.computedColumns.get(name)
  if (column !== undefined) return column
  throw new UnknownNameError(400, '42703', `column ${relation.name}.${name} does not exist`)
}

/** A column that is written. @throws UnknownNameError PGRST204. */
export function findWrittenColumn(relation: Relation, name: string): Column {
  const column = relation.columns.get(name)
  if (column !== undefined) return column
  throw new UnknownNameError(
    400,
    'PGRST204',
    `Could not find the '${name}' column of '${relation.name}' in the schema cache`,
  )
}

/** The candidate within a small edit distance of `name`. */
export function closest(name: string, candidates: Iterable<string>): string | undefined {
  let best: { candidate: string; distance: number } | undefined
  let examined = 0
  for (const candidate of candidates) {
    if (++examined > 500) break
    if (Math.abs(candidate.length - name.length) > 3) continue
    const distance = editDistance(name.slice(0, 63), candidate)
    if (distance <= Math.max(1, Math.floor(candidate.length / 3)) && distance < (best?.distance ?? 4))
      best = { candidate, distance }
  }
  return best?.candidate
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, substitution))
    }
    previous = row
  }
  return previous[b.length] ?? 0
}
