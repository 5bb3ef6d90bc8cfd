import { QUOTA_NAMES, type Quotas } from '../../tenancy/plan.ts'

/** A patch of the tenant's own quotas: a value sets, `null` takes it away again (back to the plan's). */
export type QuotasPatch = { [Name in keyof Quotas]?: number | null | undefined } | null

/** Applies a JSON Merge Patch (RFC 7396) to the overrides; `null` for the whole takes all of them away. */
export function mergeQuotas(current: Partial<Quotas>, patch: QuotasPatch | undefined): Partial<Quotas> {
  if (patch === undefined) return current
  if (patch === null) return {}
  const merged: Partial<Quotas> = { ...current }
  for (const name of QUOTA_NAMES) {
    const value = patch[name]
    if (value === null) delete merged[name]
    else if (value !== undefined) merged[name] = value
  }
  return merged
}
