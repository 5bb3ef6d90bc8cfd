import type { Context } from 'hono'
import { Problem } from '../../runtime/problem.ts'
import { insertOperation, type OperationRow } from '../stores/operation-store.ts'
import { findTenant, lockName, lockTenant, updateTenant } from '../stores/tenant-store.ts'
import { notFound } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { mutate } from './mutation.ts'
import { auditTenant } from './render.ts'

/** The process that takes the request runs the operation itself; the queue is only to catch what it drops. */
const NET_SECONDS = 10

/**
 * Begins the end of a tenant: from the commit on its requests are refused and its name is free. With `purge` its data goes
 * now, also when it was deleted before; otherwise after the plan's retention.
 * @throws Problem 404; 409 while another operation is under way, or when it is deleted already.
 */
export async function deleteTenant(
  c: Context<AppEnv>,
  services: AppServices,
  tenantId: string,
  purge: boolean,
): Promise<OperationRow> {
  const known = await findTenant(services.pool, tenantId)
  if (known === undefined) throw notFound()
  const { body } = await mutate(c, services, async (change) => {
    await lockName(change, known.name)
    const before = await lockTenant(change, tenantId)
    if (before === undefined) throw notFound()
    const isDead = before.status === 'deleted' || before.status === 'failed'
    if (isDead && !purge)
      throw new Problem(409, 'tenant_deleted', { detail: 'The tenant is deleted already; ?purge=true ends it.' })
    const operation = await insertOperation(change, {
      tenantId,
      kind: purge ? 'purge' : 'delete',
      jobDelaySeconds: NET_SECONDS,
    })
    // A dead tenant's name may be another's: its document is not published any more.
    if (isDead) await change.tx.query(`update control.tenants set status = 'deleting' where tenant_id = $1`, [tenantId])
    else
      await updateTenant(change, tenantId, {
        status: 'deleting',
        status_before_delete: before.status,
        deleted_at: new Date(services.clock.nowMs()),
      })
    return {
      status: 202 as const,
      body: operation,
      audit: {
        action: purge ? 'tenant.purge' : 'tenant.delete',
        target: tenantId,
        before: auditTenant(before),
        after: { ...auditTenant(before), status: 'deleting' },
      },
    }
  })
  return body
}

/**
 * Begins to bring a deleted tenant back.
 * @throws Problem 404; 409 when it is not deleted, or when its name was taken meanwhile.
 */
export async function restoreTenant(
  c: Context<AppEnv>,
  services: AppServices,
  tenantId: string,
): Promise<OperationRow> {
  const known = await findTenant(services.pool, tenantId)
  if (known === undefined) throw notFound()
  const { body } = await mutate(c, services, async (change) => {
    await lockName(change, known.name)
    const before = await lockTenant(change, tenantId)
    if (before === undefined) throw notFound()
    if (before.status !== 'deleted')
      throw new Problem(409, 'tenant_not_deleted', { detail: `The tenant is ${before.status}, not deleted.` })
    const operation = await insertOperation(change, { tenantId, kind: 'restore', jobDelaySeconds: NET_SECONDS })
    const after = await updateTenant(change, tenantId, { status: 'provisioning' })
    return {
      status: 202 as const,
      body: operation,
      audit: { action: 'tenant.restore', target: tenantId, before: auditTenant(before), after: auditTenant(after) },
    }
  })
  return body
}
