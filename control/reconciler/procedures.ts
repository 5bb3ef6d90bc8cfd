import type { Isolation, PlanCatalogue } from '../../tenancy/plan.ts'
import type { Provisioner } from '../provisioners/provisioner.ts'
import type { Change } from '../stores/change.ts'
import type { OperationKind } from '../stores/operation-store.ts'
import { markTouched } from '../stores/outbox-store.ts'
import type { RemoveCounters } from '../stores/tenant-counters.ts'
import type { RemoveFiles } from '../stores/tenant-files.ts'
import { deleteTenantKeys } from '../stores/tenant-key-store.ts'
import { type TenantRow, updateTenant } from '../stores/tenant-store.ts'

/*
 * The life of a tenant. What the API was asked is written as status and operation in one transaction; the reconciler then
 * brings the world there, step by step, and the last step writes where it has arrived.
 *
 *   POST            ─► provisioning ──place, provision──► active            (failed: removed again ─► failed)
 *   PATCH status      active ◄──────────────────────────► suspended         (no operation: only the document changes)
 *   DELETE            active, suspended, paused ─► deleting ──retire──► deleted    (the name is free from `deleting` on)
 *   restore           deleted ─► provisioning ──provision──► as it was before      (failed: ─► deleted)
 *   DELETE ?purge     any settled one ─► deleting ──remove files, counters, data──► gone  (failed: ─► deleted, tried again later)
 *   PATCH isolation   active ─► migrating (serving) ──see moving/move-procedure.ts──► active elsewhere   (failed: ─► as it was)
 *   retention over    deleted ─► deleting ──remove files, counters, data──► gone
 *
 * Every step may run any number of times and be cut off anywhere. `change` steps are one transaction on our tables;
 * `effect` steps act on the world outside and are idempotent there. A crash between an effect and the change after it
 * repeats the effect; a crash between two changes repeats nothing. A tenant's directory version is drawn only while it
 * lives or as it dies: `deleting` → `deleted` and a purge publish nothing, because the name may be another's by then.
 */

export type Step =
  | { name: string; kind: 'change'; run: (change: Change, tenant: TenantRow) => Promise<void> }
  | { name: string; kind: 'effect'; run: (tenant: TenantRow) => Promise<void> }

export type Procedure = {
  steps: readonly Step[]
  /** Written in the transaction that ends the operation as succeeded. */
  succeed: (change: Change, tenant: TenantRow) => Promise<void>
  /** Cleans up outside before the operation is ended as failed; given up after a while, so it must not be needed. */
  cleanUp: (tenant: TenantRow) => Promise<void>
  /** Written in the transaction that ends the operation as failed; `isClean` tells whether `cleanUp` went through. */
  fail: (change: Change, tenant: TenantRow, isClean: boolean) => Promise<void>
}

/** What is kept of a tenant while it lives and is not a fact that a bill or the uptime is made of. */
const FORGET = [
  'update control.operations set sealed_result = null where tenant_id = $1',
  'delete from control.tenant_requests where tenant_id = $1',
  'delete from control.compute_measures where tenant_id = $1',
]
/** After this a purge that failed is tried again. */
const PURGE_RETRY_SECONDS = 3_600

/** What removes of a tenant what does not lie in its database. */
export type Removers = { removeFiles: RemoveFiles; removeCounters: RemoveCounters }

/** Which procedure an operation on a tenant of some isolation follows. @throws when the platform has none. */
export function makeProcedureTable(
  provisioners: Partial<Record<Isolation, Provisioner>>,
  catalogue: PlanCatalogue,
  removers: Removers,
  move: Procedure,
): (isolation: Isolation, kind: OperationKind) => Procedure {
  const table = new Map(
    Object.values(provisioners).map((provisioner) => [
      provisioner.isolation,
      makeProcedures(provisioner, catalogue, removers),
    ]),
  )
  return (isolation, kind) => {
    const procedure = kind === 'move' ? move : table.get(isolation)?.[kind]
    if (procedure === undefined) throw new Error(`There is no way to ${kind} a tenant of ${isolation} isolation`)
    return procedure
  }
}

/** What each kind of operation does for a tenant of one isolation. */
export function makeProcedures(
  provisioner: Provisioner,
  catalogue: PlanCatalogue,
  removers: Removers,
): Record<Exclude<OperationKind, 'move'>, Procedure> {
  const place: Step = {
    name: 'place',
    kind: 'change',
    run: async (change, tenant) => {
      if (tenant.server !== null) return
      await setServer(change, tenant, await provisioner.place(change, tenant))
    },
  }
  const provision: Step = { name: 'provision', kind: 'effect', run: (tenant) => provisioner.provision(tenant) }
  const nothing = async () => {}

  return {
    create: {
      steps: [place, provision],
      succeed: async (change, tenant) => {
        await updateTenant(change, tenant.tenant_id, { status: 'active' })
      },
      cleanUp: (tenant) => provisioner.remove(tenant),
      fail: async (change, tenant, isClean) => {
        await deleteTenantKeys(change, tenant.tenant_id)
        await updateTenant(change, tenant.tenant_id, {
          status: 'failed',
          ...(isClean ? { server: null } : { purge_after: new Date(Date.now() + PURGE_RETRY_SECONDS * 1_000) }),
        })
        if (isClean) await provisioner.release(change, tenant)
      },
    },
    delete: {
      steps: [{ name: 'retire', kind: 'effect', run: (tenant) => provisioner.retire(tenant) }],
      succeed: async (change, tenant) => {
        const days = catalogue.find(tenant.plan)?.retention_days ?? catalogue.defaultPlan.retention_days
        await setDeleted(change, tenant, days * 86_400)
      },
      cleanUp: nothing,
      fail: async (change, tenant) => {
        const days = catalogue.find(tenant.plan)?.retention_days ?? catalogue.defaultPlan.retention_days
        await setDeleted(change, tenant, days * 86_400)
      },
    },
    restore: {
      steps: [provision],
      succeed: async (change, tenant) => {
        await updateTenant(change, tenant.tenant_id, {
          status: tenant.status_before_delete ?? 'active',
          status_before_delete: null,
          deleted_at: null,
          purge_after: null,
        })
      },
      cleanUp: nothing,
      fail: async (change, tenant) => {
        await updateTenant(change, tenant.tenant_id, { status: 'deleted' })
      },
    },
    purge: {
      steps: [
        { name: 'remove files', kind: 'effect', run: (tenant) => removers.removeFiles(tenant.tenant_id) },
        { name: 'remove counters', kind: 'effect', run: (tenant) => removers.removeCounters(tenant.tenant_id) },
        { name: 'remove', kind: 'effect', run: (tenant) => provisioner.remove(tenant) },
      ],
      succeed: async (change, tenant) => {
        await deleteTenantKeys(change, tenant.tenant_id)
        await change.tx.query(
          `update control.tenants set status = 'deleted', server = null, purged_at = now(), purge_after = null,
             updated_at = now(), jwt_sealed_secret = null, jwt_jwks_url = null, jwt_issuer = null, jwt_audience = null,
             backend = null
           where tenant_id = $1`,
          [tenant.tenant_id],
        )
        await provisioner.release(change, tenant)
        for (const forget of FORGET) await change.tx.query(forget, [tenant.tenant_id])
        // Its document is withdrawn, unless the name is another's by now.
        await markTouched(change, 'tenant', tenant.name, 0)
      },
      cleanUp: nothing,
      fail: (change, tenant) => setDeleted(change, tenant, PURGE_RETRY_SECONDS),
    },
  }
}

/** No new version: nothing of it is published before the tenant is active, which draws one. */
async function setServer(change: Change, tenant: TenantRow, server: string): Promise<void> {
  await change.tx.query('update control.tenants set server = $2 where tenant_id = $1', [tenant.tenant_id, server])
}

/** No new version: the document says `deleting` already, and the name may be another's. */
async function setDeleted(change: Change, tenant: TenantRow, keepSeconds: number): Promise<void> {
  await change.tx.query(
    `update control.tenants set status = 'deleted', updated_at = now(),
       purge_after = now() + make_interval(secs => $2)
     where tenant_id = $1`,
    [tenant.tenant_id, keepSeconds],
  )
}
