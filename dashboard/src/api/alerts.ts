import { keepPreviousData, queryOptions, useQuery } from '@tanstack/react-query'
import { api, type Document, unwrap } from './client.ts'
import { LIVE_MS } from './query-client.ts'

export type Alert = Document<'Alert'>

export function alertsQuery(filter: { status?: 'open' | 'resolved'; tenantId?: string; cursor?: string | undefined }) {
  const { status, tenantId, cursor } = filter
  return queryOptions({
    queryKey: ['alerts', filter],
    queryFn: async ({ signal }) =>
      unwrap(
        await api.GET('/v1/alerts', {
          params: {
            query: {
              limit: cursor === undefined && status === 'open' ? 200 : 50,
              ...(status === undefined ? {} : { status }),
              ...(tenantId === undefined ? {} : { tenant_id: tenantId }),
              ...(cursor === undefined ? {} : { cursor }),
            },
          },
          signal,
        }),
      ),
    refetchInterval: LIVE_MS * 2,
    placeholderData: keepPreviousData,
  })
}

/** How many alerts are open (up to 200). */
export function useOpenAlertCount(): number | undefined {
  const { data } = useQuery(alertsQuery({ status: 'open' }))
  return data?.data.length
}
