import { keepPreviousData, queryOptions } from '@tanstack/react-query'
import { api, type Document, unwrap } from './client.ts'

export type Estimate = Document<'Estimate'>
export type EstimateRequest = Document<'EstimateRequest'>

/** What a usage would cost on each plan. Open to everybody, like the price list. */
export function estimateQuery(request: EstimateRequest) {
  return queryOptions({
    queryKey: ['estimate', request],
    queryFn: async ({ signal }) => unwrap(await api.POST('/v1/pricing/estimate', { body: request, signal })),
    placeholderData: keepPreviousData,
    staleTime: 300_000,
  })
}
