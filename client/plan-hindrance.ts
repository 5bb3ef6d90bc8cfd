import type { components } from './platform-api.ts'

type EstimatedPlan = components['schemas']['Estimate']['data'][number]

const QUOTA_TEXTS: Readonly<Record<string, string>> = {
  storage_bytes: 'documents',
  file_storage_bytes: 'files',
  api_requests_per_month: 'requests',
  realtime_connections: 'realtime connections',
}

/** Why a plan is not for that usage, as the calculators say it; `undefined` where it fits. */
export function hindranceOf(
  plan: Pick<EstimatedPlan, 'offers_isolation' | 'exceeded_quotas'>,
  isolation: string,
): string | undefined {
  if (!plan.offers_isolation) return `Has no ${isolation} isolation`
  if (plan.exceeded_quotas.length === 0) return undefined
  return `Too much for it: ${plan.exceeded_quotas.map((quota) => QUOTA_TEXTS[quota] ?? quota).join(', ')}`
}
