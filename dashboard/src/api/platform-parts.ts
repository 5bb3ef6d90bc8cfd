import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { api, type Document, requestIdOf, unwrap } from './client.ts'
import { serversQuery } from './overview.ts'
import { LIVE_MS } from './query-client.ts'

export type SharedServer = Document<'SharedServer'>
export type PlatformKey = Document<'PlatformKey'>
export type ShownPlatformKey = Document<'ShownPlatformKey'>
export type CreatePlatformKey = Document<'CreatePlatformKey'>
export type Webhook = Document<'Webhook'>
export type WebhookDelivery = Document<'WebhookDelivery'>
export type IsolationReport = Document<'IsolationReport'>

const page = (cursor: string | undefined) => ({ limit: 50, ...(cursor === undefined ? {} : { cursor }) })

/** Drains a server, or takes it into use again. */
export function useDrainServer() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async ({ server, draining }: Pick<SharedServer, 'server' | 'draining'>) => {
      const answer = await api.PATCH('/v1/servers/{server}', { params: { path: { server } }, body: { draining } })
      return { server: unwrap(answer), requestId: requestIdOf(answer.response) }
    },
    onSettled: () => client.invalidateQueries({ queryKey: serversQuery.queryKey }),
  })
}

export function platformKeysQuery(cursor: string | undefined) {
  return queryOptions({
    queryKey: ['platform-keys', cursor],
    queryFn: async ({ signal }) =>
      unwrap(await api.GET('/v1/platform-keys', { params: { query: page(cursor) }, signal })),
    refetchInterval: LIVE_MS * 2,
  })
}

export function useMakePlatformKey() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (body: CreatePlatformKey) => {
      const answer = await api.POST('/v1/platform-keys', { body })
      return { shown: unwrap(answer), requestId: requestIdOf(answer.response) }
    },
    onSettled: () => client.invalidateQueries({ queryKey: ['platform-keys'] }),
  })
}

export function useRevokePlatformKey() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (keyId: string) => {
      const answer = await api.DELETE('/v1/platform-keys/{key_id}', { params: { path: { key_id: keyId } } })
      return { requestId: requestIdOf(answer.response) }
    },
    onSettled: () => client.invalidateQueries({ queryKey: ['platform-keys'] }),
  })
}

export function webhooksQuery(cursor: string | undefined) {
  return queryOptions({
    queryKey: ['webhooks', cursor],
    queryFn: async ({ signal }) => unwrap(await api.GET('/v1/webhooks', { params: { query: page(cursor) }, signal })),
    refetchInterval: LIVE_MS * 2,
  })
}

export function deliveriesQuery(webhookId: string) {
  return queryOptions({
    queryKey: ['webhooks', 'deliveries', webhookId],
    queryFn: async ({ signal }) =>
      unwrap(
        await api.GET('/v1/webhooks/{webhook_id}/deliveries', { params: { path: { webhook_id: webhookId } }, signal }),
      ),
    refetchInterval: LIVE_MS,
  })
}

export function useMakeWebhook() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (body: Document<'CreateWebhook'>) => {
      const answer = await api.POST('/v1/webhooks', { body })
      return { shown: unwrap(answer), requestId: requestIdOf(answer.response) }
    },
    onSettled: () => client.invalidateQueries({ queryKey: ['webhooks'] }),
  })
}

export function useRemoveWebhook() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (webhookId: string) => {
      const answer = await api.DELETE('/v1/webhooks/{webhook_id}', { params: { path: { webhook_id: webhookId } } })
      return { requestId: requestIdOf(answer.response) }
    },
    onSettled: () => client.invalidateQueries({ queryKey: ['webhooks'] }),
  })
}

const auditKey = ['isolation-audit']
export const isolationAuditQuery = queryOptions({
  queryKey: auditKey,
  queryFn: async ({ signal }) => unwrap(await api.GET('/v1/isolation-audit', { signal })),
  staleTime: 60_000,
})

/** Looks now instead of waiting for the next scheduled audit. */
export function useAuditNow() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async () => unwrap(await api.GET('/v1/isolation-audit', { params: { query: { fresh: 'true' } } })),
    onSuccess: (report) => client.setQueryData(isolationAuditQuery.queryKey, report),
  })
}
