import { keepPreviousData, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { api, type Document, PlatformProblem, requestIdOf, unwrap } from './client.ts'
import { LIVE_MS } from './query-client.ts'

export type Tenant = Document<'Tenant'>
export type ListedTenant = Document<'ListedTenant'>
export type Quotas = Document<'Quotas'>
export type TenantPatch = Document<'PatchTenant'>
export type Operation = Document<'Operation'>

export const STATUSES = [
  'active',
  'suspended',
  'paused',
  'provisioning',
  'migrating',
  'deleting',
  'deleted',
  'failed',
] as const satisfies readonly Tenant['status'][]
export const ISOLATIONS = ['schema', 'database', 'cluster'] as const satisfies readonly Tenant['isolation'][]
export const SORTS = ['name', 'plan', 'isolation', 'status', 'created_at', 'storage', 'api_requests'] as const
export type Sort = (typeof SORTS)[number]

export type TenantFilter = {
  name?: string
  plan?: string
  status?: Tenant['status']
  isolation?: Tenant['isolation']
  sort: Sort
  order: 'asc' | 'desc'
}

export const PAGE_SIZE = 50

/** One page of tenants; it follows the platform while it is looked at. */
export function tenantsQuery(filter: TenantFilter, cursor: string | undefined) {
  return queryOptions({
    queryKey: ['tenants', filter, cursor],
    queryFn: async ({ signal }) =>
      unwrap(
        await api.GET('/v1/tenants', {
          params: {
            query: { ...filter, limit: PAGE_SIZE, count: 'true', ...(cursor === undefined ? {} : { cursor }) },
          },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
    refetchInterval: LIVE_MS,
  })
}

/** A tenant with its entity tag. The browser's cache asks with `If-None-Match`, so that following it costs next to nothing. */
export function tenantQuery(tenantId: string) {
  return queryOptions({
    queryKey: ['tenant', tenantId],
    queryFn: async ({ signal }) => {
      const answer = await api.GET('/v1/tenants/{tenant_id}', { params: { path: { tenant_id: tenantId } }, signal })
      return { tenant: unwrap(answer), etag: answer.response.headers.get('etag') ?? undefined }
    },
    refetchInterval: LIVE_MS,
  })
}

/** Whether a name is free; asked while it is typed. */
export function nameQuery(name: string) {
  return queryOptions({
    queryKey: ['tenant-name', name],
    queryFn: async ({ signal }) =>
      unwrap(await api.GET('/v1/tenant-names/{name}', { params: { path: { name } }, signal })),
    enabled: name !== '',
    staleTime: 0,
  })
}

export type NewTenant = Document<'CreateTenant'>

/** Asks for a tenant and answers at once, with its keys and the operation that makes it. */
export function useCreateTenant() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (request: NewTenant & { idempotencyKey: string }) => {
      const { idempotencyKey, ...body } = request
      const answer = await api.POST('/v1/tenants', {
        body,
        headers: { Prefer: 'respond-async', 'Idempotency-Key': idempotencyKey },
      })
      return { accepted: unwrap(answer) as Document<'AcceptedTenant'>, requestId: requestIdOf(answer.response) }
    },
    onSettled: () => client.invalidateQueries({ queryKey: ['tenants'] }),
  })
}

/** Follows an operation until it has ended. */
export function operationQuery(operationId: string) {
  return queryOptions({
    queryKey: ['operation', operationId],
    queryFn: async ({ signal }) =>
      unwrap(
        await api.GET('/v1/operations/{operation_id}', { params: { path: { operation_id: operationId } }, signal }),
      ),
    refetchInterval: (query) => (query.state.data?.status === 'running' || query.state.error !== null ? 700 : false),
    staleTime: 0,
  })
}

/** Changes a tenant; with an `etag` only if nobody else has changed it since. */
export async function patchTenant(tenantId: string, patch: TenantPatch, etag?: string) {
  const answer = await api.PATCH('/v1/tenants/{tenant_id}', {
    params: { path: { tenant_id: tenantId }, header: etag === undefined ? {} : { 'if-match': etag } },
    body: patch,
  })
  return {
    // A move answers with the tenant, too, and with the operation that it is.
    tenant: unwrap(answer) as Document<'PatchedTenant'>,
    etag: answer.response.headers.get('etag') ?? undefined,
    requestId: requestIdOf(answer.response),
  }
}

export function usePatchTenant(tenantId: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ patch, etag }: { patch: TenantPatch; etag?: string | undefined }) =>
      patchTenant(tenantId, patch, etag),
    onSuccess: ({ tenant, etag }) => client.setQueryData(tenantQuery(tenantId).queryKey, { tenant, etag }),
    onSettled: () => invalidateTenant(client, tenantId),
  })
}

export function useDeleteTenant(tenantId: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async ({ purge }: { purge: boolean }) => {
      const answer = await api.DELETE('/v1/tenants/{tenant_id}', {
        params: { path: { tenant_id: tenantId }, query: purge ? { purge: 'true' } : {} },
      })
      return { operation: unwrap(answer), requestId: requestIdOf(answer.response) }
    },
    onSettled: () => invalidateTenant(client, tenantId),
  })
}

export function useRestoreTenant(tenantId: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async () => {
      const answer = await api.POST('/v1/tenants/{tenant_id}/restore', { params: { path: { tenant_id: tenantId } } })
      return { operation: unwrap(answer), requestId: requestIdOf(answer.response) }
    },
    onSettled: () => invalidateTenant(client, tenantId),
  })
}

/** Suspends or resumes many, a few at a time; each is told of as it is done. */
export async function setStatusOfMany(
  tenantIds: readonly string[],
  status: 'active' | 'suspended',
  onProgress: (done: number) => void,
): Promise<{ tenantId: string; fault: PlatformProblem }[]> {
  const waiting = [...tenantIds]
  const failed: { tenantId: string; fault: PlatformProblem }[] = []
  let done = 0
  const work = async () => {
    for (let tenantId = waiting.shift(); tenantId !== undefined; tenantId = waiting.shift()) {
      try {
        await patchTenant(tenantId, { status })
      } catch (fault) {
        if (!(fault instanceof PlatformProblem)) throw fault
        failed.push({ tenantId, fault })
      }
      onProgress(++done)
    }
  }
  await Promise.all([work(), work(), work(), work()])
  return failed
}

function invalidateTenant(client: ReturnType<typeof useQueryClient>, tenantId: string) {
  void client.invalidateQueries({ queryKey: ['tenants'] })
  void client.invalidateQueries({ queryKey: ['operations'] })
  void client.invalidateQueries({ queryKey: ['audit'] })
  return client.invalidateQueries({ queryKey: ['tenant', tenantId] })
}
