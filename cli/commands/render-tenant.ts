import { formatBytes, formatCount } from '../../client/format.ts'
import type { Document } from '../../client/platform-client.ts'
import type { Tenant } from '../find-tenant.ts'
import { renderFacts, renderTable } from '../table.ts'

/** Tenants as a table. */
export function renderTenants(tenants: readonly Document<'ListedTenant'>[]): string {
  return renderTable(
    tenants,
    [
      { title: 'NAME', of: (one) => one.name },
      { title: 'STATUS', of: (one) => one.status },
      { title: 'PLAN', of: (one) => one.plan },
      { title: 'ISOLATION', of: (one) => one.isolation },
      { title: 'STORED', of: (one) => formatBytes(one.usage.storage_bytes), isNumber: true },
      { title: 'REQUESTS', of: (one) => formatCount(one.api_requests_this_month), isNumber: true },
      { title: 'CREATED', of: (one) => one.created_at.slice(0, 10) },
      { title: 'ID', of: (one) => one.tenant_id },
    ],
    'No tenants.',
  )
}

/** A tenant as facts: its quotas with what is its own, and what it stores. */
export function renderTenant(tenant: Tenant): string {
  const { quotas, quota_overrides: own, usage } = tenant
  const quota = (name: keyof typeof quotas, format: (amount: number) => string) =>
    `${quotas[name] === null ? 'unlimited' : format(quotas[name])}${name in own ? ' (its own)' : ''}`
  return renderFacts({
    name: tenant.name,
    id: tenant.tenant_id,
    status: tenant.status,
    plan: tenant.plan,
    isolation: tenant.isolation,
    region: tenant.region,
    address: tenant.database_url,
    backend: tenant.backend ?? undefined,
    'status page': tenant.public_status ? 'open' : 'closed',
    created: tenant.created_at,
    deleted: tenant.deleted_at ?? undefined,
    'purged after': tenant.purge_after ?? undefined,
    storage: `${formatBytes(usage.storage_bytes)} of ${quota('storage_bytes', formatBytes)}`,
    files: `${formatBytes(usage.file_storage_bytes)} of ${quota('file_storage_bytes', formatBytes)}`,
    'requests a month': quota('api_requests_per_month', formatCount),
    'requests a second': quota('requests_per_second', formatCount),
    connections: quota('realtime_connections', formatCount),
  })
}
