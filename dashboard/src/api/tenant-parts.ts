import { keepPreviousData, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { api, type Document, requestIdOf, unwrap } from './client.ts'
import { LIVE_MS } from './query-client.ts'

export type TenantKey = Document<'TenantKey'>
export type ShownTenantKey = Document<'ShownTenantKey'>
export type SlaReport = Document<'SlaReport'>
export type Invoice = Document<'Invoice'>
export type AccessGrant = Document<'AccessGrant'>
export type AuditEntry = Document<'AuditEntry'>

const of = (tenantId: string) => ({ path: { tenant_id: tenantId } })
const page = (cursor: string | undefined) => ({ limit: 20, ...(cursor === undefined ? {} : { cursor }) })

export function keysQuery(tenantId: string) {
  return queryOptions({
    queryKey: ['tenant', tenantId, 'keys'],
    queryFn: async ({ signal }) =>
      unwrap(await api.GET('/v1/tenants/{tenant_id}/keys', { params: of(tenantId), signal })),
    refetchInterval: LIVE_MS,
  })
}

/** Makes a key, or one in the place of another that then runs out after an overlap. */
export function useMakeKey(tenantId: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (wanted: { kind: TenantKey['kind'] } | { replaces: string; overlapSeconds: number }) => {
      const answer =
        'kind' in wanted
          ? await api.POST('/v1/tenants/{tenant_id}/keys', { params: of(tenantId), body: wanted })
          : await api.POST('/v1/tenants/{tenant_id}/keys/{key_id}/rotate', {
              params: { path: { tenant_id: tenantId, key_id: wanted.replaces } },
              body: { overlap_seconds: wanted.overlapSeconds },
            })
      return { shown: unwrap(answer) as ShownTenantKey, requestId: requestIdOf(answer.response) }
    },
    onSettled: () => client.invalidateQueries({ queryKey: keysQuery(tenantId).queryKey }),
  })
}

/** Sets a key's own requests per second; null: as many as the tenant. */
export function useLimitKey(tenantId: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async ({ keyId, rateLimit }: { keyId: string; rateLimit: number | null }) => {
      const answer = await api.PATCH('/v1/tenants/{tenant_id}/keys/{key_id}', {
        params: { path: { tenant_id: tenantId, key_id: keyId } },
        body: { rate_limit: rateLimit },
      })
      return { key: unwrap(answer), requestId: requestIdOf(answer.response) }
    },
    onSettled: () => client.invalidateQueries({ queryKey: keysQuery(tenantId).queryKey }),
  })
}

export function useRevokeKey(tenantId: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (keyId: string) => {
      const answer = await api.DELETE('/v1/tenants/{tenant_id}/keys/{key_id}', {
        params: { path: { tenant_id: tenantId, key_id: keyId } },
      })
      // 204: there is nothing in it.
      return { requestId: requestIdOf(answer.response) }
    },
    onSettled: () => client.invalidateQueries({ queryKey: keysQuery(tenantId).queryKey }),
  })
}

/** The uptime of a month, `YYYY-MM`. */
export function slaQuery(tenantId: string, month: string) {
  return queryOptions({
    queryKey: ['tenant', tenantId, 'sla', month],
    queryFn: async ({ signal }) =>
      unwrap(
        await api.GET('/v1/tenants/{tenant_id}/sla/{month}', {
          params: { path: { tenant_id: tenantId, month } },
          signal,
        }),
      ),
    refetchInterval: LIVE_MS,
    placeholderData: keepPreviousData,
  })
}

export function invoicesQuery(tenantId: string, cursor: string | undefined) {
  return queryOptions({
    queryKey: ['tenant', tenantId, 'invoices', cursor],
    queryFn: async ({ signal }) =>
      unwrap(
        await api.GET('/v1/tenants/{tenant_id}/invoices', {
          params: { ...of(tenantId), query: page(cursor) },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
  })
}

/** Where an invoice is to be had: the browser's session opens it. */
export function invoiceAddress(tenantId: string, invoice: Invoice, format: 'pdf' | 'csv' | 'json'): string {
  return invoice.invoice_id === null
    ? `/v1/tenants/${tenantId}/invoices/${invoice.month}?format=${format}`
    : `/v1/invoices/${invoice.invoice_id}?format=${format}`
}

export function accessGrantsQuery(tenantId: string, cursor: string | undefined) {
  return queryOptions({
    queryKey: ['tenant', tenantId, 'access-grants', cursor],
    queryFn: async ({ signal }) =>
      unwrap(
        await api.GET('/v1/tenants/{tenant_id}/access-grants', {
          params: { ...of(tenantId), query: page(cursor) },
          signal,
        }),
      ),
    refetchInterval: LIVE_MS,
    placeholderData: keepPreviousData,
  })
}

export function useRequestAccess(tenantId: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (body: Document<'RequestAccess'>) => {
      const answer = await api.POST('/v1/tenants/{tenant_id}/access-grants', { params: of(tenantId), body })
      return { grant: unwrap(answer), requestId: requestIdOf(answer.response) }
    },
    onSettled: () => client.invalidateQueries({ queryKey: ['tenant', tenantId, 'access-grants'] }),
  })
}

/** What was changed of a tenant, and by whom. */
export function auditQuery(target: string, cursor: string | undefined) {
  return queryOptions({
    queryKey: ['audit', target, cursor],
    queryFn: async ({ signal }) =>
      unwrap(await api.GET('/v1/audit-log', { params: { query: { ...page(cursor), target } }, signal })),
    refetchInterval: LIVE_MS,
    placeholderData: keepPreviousData,
  })
}
