import { queryOptions } from '@tanstack/react-query'
import { api, unwrap } from './client.ts'
import { LIVE_MS } from './query-client.ts'

export const overviewQuery = queryOptions({
  queryKey: ['overview'],
  queryFn: async ({ signal }) => unwrap(await api.GET('/v1/overview', { signal })),
  refetchInterval: LIVE_MS * 2,
})

/** The last twelve months, the newest first. */
export const revenueQuery = queryOptions({
  queryKey: ['revenue'],
  queryFn: async ({ signal }) => unwrap(await api.GET('/v1/revenue', { params: { query: { months: 12 } }, signal })),
  refetchInterval: 60_000,
})

export const serversQuery = queryOptions({
  queryKey: ['servers'],
  queryFn: async ({ signal }) => unwrap(await api.GET('/v1/servers', { signal })),
  refetchInterval: LIVE_MS * 2,
})
