import type { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { Problem } from '../../runtime/problem.ts'
import { effectiveQuotas } from '../../tenancy/plan.ts'
import { beginMove } from '../moving/begin-move.ts'
import { requireBackend } from '../stores/backend-store.ts'
import type { OperationRow } from '../stores/operation-store.ts'
import { judgeStorage } from '../stores/storage-flags.ts'
import { lockTenant, type TenantFields, type TenantRow, updateTenant } from '../stores/tenant-store.ts'
import { notFound } from './authentication.ts'
import { choosePlan } from './create-tenant.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { requireMatch } from './etag.ts'
import { mergeQuotas } from './merge-patch.ts'
import { mutate } from './mutation.ts'
import { auditTenant, tenantEtag } from './render.ts'
import type { patchTenantSchema } from './schemas.ts'

/** The process that takes the request runs the operation itself; the queue is only to catch what it drops. */
const MOVE_NET_SECONDS = 10

/** States in which a tenant is settled enough to be changed. */
const CHANGEABLE: readonly TenantRow['status'][] = ['active', 'suspended', 'paused']

/**
 * Applies a merge patch to a tenant; a patch that changes nothing draws no version and is not audited as a change of state.
 * @throws Problem 404; 412 when `If-Match` does not name the tenant as it is; 409 while its state forbids it.
 */
export async function patchTenant(
  c: Context<AppEnv>,
  services: AppServices,
  tenantId: string,
  patch: z.output<typeof patchTenantSchema>,
  ifMatch: string | undefined,
): Promise<{ row: TenantRow; operation: OperationRow | undefined }> {
  let operation: OperationRow | undefined
  const { body } = await mutate(c, services, async (change) => {
    const before = await lockTenant(change, tenantId)
    if (before === undefined) throw notFound()
    requireMatch(ifMatch, tenantEtag(before))
    if (!CHANGEABLE.includes(before.status))
      throw new Problem(409, 'tenant_not_changeable', {
        detail: `The tenant is ${before.status}: it can be changed once it is active.`,
      })
    const isolation = patch.isolation ?? before.isolation
    const moves = isolation !== before.isolation
    if (patch.plan !== undefined || moves)
      choosePlan(services, patch.plan ?? before.plan, isolation, moves ? 'isolation' : 'plan')
    if (typeof patch.backend === 'string') await requireBackend(change.tx, patch.backend)
    const quotas = mergeQuotas(before.quotas, patch.quotas)
    const plan = services.catalogue.find(patch.plan ?? before.plan) ?? services.catalogue.defaultPlan
    const fields: TenantFields = {
      ...(patch.plan === undefined ? {} : { plan: patch.plan }),
      ...(patch.quotas === undefined ? {} : { quotas }),
      // A raised quota lets writes through at once, without waiting for the next sample.
      ...(patch.plan === undefined && patch.quotas === undefined
        ? {}
        : judgeStorage(before, effectiveQuotas(plan, quotas))),
      ...(patch.status === undefined || isSameStatus(before, patch.status) ? {} : { status: patch.status }),
      ...(patch.backend === undefined ? {} : { backend: patch.backend }),
      ...(patch.public_status === undefined ? {} : { public_status: patch.public_status }),
    }
    operation = moves ? await beginMove(change, before, isolation, MOVE_NET_SECONDS) : undefined
    // A suspended tenant is moved as it is: `migrating` ones serve.
    const isServing = (fields.status ?? before.status) !== 'suspended'
    if (moves && isServing) fields.status = 'migrating'
    const after = Object.keys(fields).length === 0 ? before : await updateTenant(change, tenantId, fields)
    return {
      status: 200 as const,
      body: after,
      audit: { action: 'tenant.update', target: tenantId, before: auditTenant(before), after: auditTenant(after) },
    }
  })
  return { row: body, operation }
}

/** A paused tenant is an active one that sleeps: asking for `active` leaves it asleep until its next request. */
function isSameStatus(row: TenantRow, status: 'active' | 'suspended'): boolean {
  return row.status === status || (row.status === 'paused' && status === 'active')
}
