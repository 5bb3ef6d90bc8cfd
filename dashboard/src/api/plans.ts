import { queryOptions, useQuery } from '@tanstack/react-query'
import { api, type Document, unwrap } from './client.ts'

export type Plan = Document<'Plan'>
export type Isolation = Plan['isolations'][number]

export const plansQuery = queryOptions({
  queryKey: ['plans'],
  queryFn: async ({ signal }) => unwrap(await api.GET('/v1/plans', { signal })),
  staleTime: 300_000,
})

/** The price list. */
export function usePlans() {
  return useQuery(plansQuery).data
}
