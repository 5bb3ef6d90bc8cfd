import { effectiveQuotas, type PlanCatalogue } from '../../tenancy/plan.ts'
import type { OperationRow } from '../stores/operation-store.ts'
import type { TenantRow } from '../stores/tenant-store.ts'
import { makeEtag } from './etag.ts'
import type { OperationDocument, TenantDocument } from './schemas.ts'

/** A tenant as the API shows it. */
export function renderTenant(row: TenantRow, catalogue: PlanCatalogue, domain: string): TenantDocument {
  return {
    tenant_id: row.tenant_id,
    name: row.name,
    plan: row.plan,
    region: row.region,
    isolation: row.isolation,
    status: row.status,
    database_url: `https://${row.name}.${domain}`,
    quotas: effectiveQuotas(catalogue.find(row.plan) ?? catalogue.defaultPlan, row.quotas),
    quota_overrides: row.quotas,
    usage: {
      storage_bytes: row.documents_bytes,
      file_storage_bytes: row.files_bytes,
      storage_exceeded: row.storage_exceeded,
      file_storage_exceeded: row.file_storage_exceeded,
    },
    backend: row.backend,
    public_status: row.public_status,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    deleted_at: row.deleted_at?.toISOString() ?? null,
    purge_after: row.purge_after?.toISOString() ?? null,
  }
}

/** A tenant in the audit log: what callers set, without what we measure. */
export function auditTenant(row: TenantRow): Record<string, unknown> {
  const { name, plan, region, isolation, status, quotas, backend, public_status } = row
  return { name, plan, region, isolation, status, quotas, backend, public_status }
}

export function tenantEtag(row: TenantRow): string {
  const measured = [row.status, row.documents_bytes.toString(36), row.files_bytes.toString(36)]
  return makeEtag(row.version, measured.join('.'))
}

/** An operation as the API shows it; the reason of an attempt that is to be repeated stays inside. */
export function renderOperation(row: OperationRow): OperationDocument {
  return {
    operation_id: row.operation_id,
    tenant_id: row.tenant_id,
    kind: row.kind,
    status: row.status,
    step: row.step,
    ...(row.status === 'failed'
      ? { error: { code: row.error_code ?? 'internal', detail: row.error_detail ?? 'It failed.' } }
      : {}),
    created_at: row.created_at.toISOString(),
    deadline_at: row.deadline_at.toISOString(),
    finished_at: row.finished_at?.toISOString() ?? null,
  }
}
