import { Problem } from '../../runtime/problem.ts'
import type { Isolation } from '../../tenancy/plan.ts'
import type { Change } from '../stores/change.ts'
import { insertMove } from '../stores/move-store.ts'
import { insertOperation, type OperationRow } from '../stores/operation-store.ts'
import type { TenantRow } from '../stores/tenant-store.ts'

/**
 * Notes that the tenant is to be moved; the operation does it, after `jobDelaySeconds` at the latest.
 * @throws Problem 409 while another operation is under way, and for a tenant that is served by a registered backend.
 */
export async function beginMove(
  change: Change,
  tenant: TenantRow,
  to: Isolation,
  jobDelaySeconds: number,
): Promise<OperationRow> {
  if (tenant.backend !== null)
    throw new Problem(409, 'tenant_on_backend', {
      detail: 'The tenant is served by a registered backend: there is nothing of it to move.',
      errors: [{ path: 'isolation', message: `the tenant is on the backend ${tenant.backend}` }],
    })
  if (tenant.server === null) throw new Error('A settled tenant has a server')
  const operation = await insertOperation(change, { tenantId: tenant.tenant_id, kind: 'move', jobDelaySeconds })
  await insertMove(change, {
    tenant_id: tenant.tenant_id,
    operation_id: operation.operation_id,
    from_isolation: tenant.isolation,
    from_server: tenant.server,
    to_isolation: to,
  })
  return operation
}
