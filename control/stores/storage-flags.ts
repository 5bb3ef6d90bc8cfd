import type { Quotas } from '../../tenancy/plan.ts'
import type { TenantRow } from './tenant-store.ts'

/** Which of the totals are used up: then writes get 507. */
export function judgeStorage(
  measured: Pick<TenantRow, 'documents_bytes' | 'files_bytes'>,
  quotas: Quotas,
): Pick<TenantRow, 'storage_exceeded' | 'file_storage_exceeded'> {
  return {
    storage_exceeded: quotas.storage_bytes !== null && measured.documents_bytes >= quotas.storage_bytes,
    file_storage_exceeded: quotas.file_storage_bytes !== null && measured.files_bytes >= quotas.file_storage_bytes,
  }
}
