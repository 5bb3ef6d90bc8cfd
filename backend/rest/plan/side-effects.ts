import type { ReadPlan } from './plan.ts'

/**
 * Whether reading `plan` runs functions of the tenant's own, in views or as computed columns and relationships: such a read has to
 * be held to reading by Postgres, since a function can write.
 */
export function mayRunFunctions({ relation, outputs }: ReadPlan): boolean {
  if (relation.kind === 'view' || relation.computedColumns.size > 0) return true
  return outputs.some(
    (output) =>
      output.kind === 'embed' &&
      (output.embed.relationship.computedBy !== undefined ||
        output.embed.relationship.junction?.relation.kind === 'view' ||
        mayRunFunctions(output.embed.read)),
  )
}
