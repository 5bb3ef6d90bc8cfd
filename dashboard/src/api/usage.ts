import { keepPreviousData, queryOptions } from '@tanstack/react-query'
import { api, unwrap } from './client.ts'
import { LIVE_MS } from './query-client.ts'

export type Series = { data: { at: string; value: number }[] }

type Resource = 'api_requests' | 'documents_bytes' | 'files_bytes' | 'realtime_connections' | 'egress'

/** One resource of a tenant over a month (`YYYY-MM`), by hour or day. */
export function seriesQuery(question: { tenantId: string; month: string; step: 'hour' | 'day'; resource: Resource }) {
  const { tenantId, month, step, resource } = question
  return queryOptions({
    queryKey: ['series', question],
    queryFn: async ({ signal }) =>
      unwrap(
        await api.GET('/v1/tenants/{tenant_id}/usage/{month}/series', {
          params: { path: { tenant_id: tenantId, month }, query: { step, resource } },
          signal,
        }),
      ) as Series,
    refetchInterval: LIVE_MS * 3,
    placeholderData: keepPreviousData,
  })
}
