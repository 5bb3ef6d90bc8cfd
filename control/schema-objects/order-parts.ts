import { PART_KINDS } from './part-queries.ts'
import type { SchemaPart } from './read-schema.ts'

const RANK = new Map(PART_KINDS.map((kind, rank) => [kind as string, rank]))

/**
 * Puts parts in an order in which each comes after what it needs; among those that could come next, by kind and then as
 * they were. Where parts need each other in a circle, which Postgres lets only functions do, the kind decides.
 */
export function orderParts(
  parts: readonly SchemaPart[],
  needs: ReadonlyMap<string, ReadonlySet<string>>,
): SchemaPart[] {
  const byRank = parts.toSorted((a, b) => (RANK.get(a.kind) ?? 0) - (RANK.get(b.kind) ?? 0))
  const byKey = new Map(parts.map((part) => [part.key, part]))
  const ordered: SchemaPart[] = []
  const placed = new Set<string>()
  const visit = (part: SchemaPart): void => {
    if (placed.has(part.key)) return
    placed.add(part.key)
    for (const key of needs.get(part.key) ?? []) {
      const needed = byKey.get(key)
      if (needed !== undefined) visit(needed)
    }
    ordered.push(part)
  }
  for (const part of byRank) visit(part)
  return ordered
}
