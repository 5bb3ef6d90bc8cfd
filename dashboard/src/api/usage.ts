import { keepPreviousData, queryOptions } from '@tanstack/react-query'
import { api, type Document, unwrap } from './client.ts'
import { LIVE_MS } from './query-client.ts'

export type UsagePoint = Document<'UsagePoint'>
export type Resource =
  | 'api_requests'
  | 'egress'
  | 'ingress'
  | 'realtime_messages'
  | 'compute_seconds'
  | 'documents_bytes'
  | 'files_bytes'
  | 'realtime_connections'

/** A range of UTC days (`to` is the first that is not in it), and how fine it is shown. */
export type UsageRange = { from: string; to: string; step: 'hour' | 'day' }

/** One resource of a tenant over a range; requests by day come by class of status too. */
export function seriesQuery(tenantId: string, { from, to, step }: UsageRange, resource: Resource) {
  const isByStatus = resource === 'api_requests' && step === 'day'
  return queryOptions({
    queryKey: ['series', tenantId, from, to, step, resource],
    queryFn: async ({ signal }) =>
      unwrap(
        await api.GET('/v1/tenants/{tenant_id}/usage-series', {
          params: {
            path: { tenant_id: tenantId },
            query: { from, to, step, resource, ...(isByStatus ? { by: 'status' as const } : {}) },
          },
          signal,
        }),
      ),
    refetchInterval: LIVE_MS * 3,
    placeholderData: keepPreviousData,
  })
}

/** Requests of all tenants by day. */
export function platformDaysQuery({ from, to }: Pick<UsageRange, 'from' | 'to'>) {
  return queryOptions({
    queryKey: ['platform-days', from, to],
    queryFn: async ({ signal }) =>
      unwrap(await api.GET('/v1/usage-series', { params: { query: { from, to } }, signal })),
    refetchInterval: LIVE_MS * 3,
    placeholderData: keepPreviousData,
  })
}
