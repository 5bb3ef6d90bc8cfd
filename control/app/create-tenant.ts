import type { Context } from 'hono'
import { makeId } from '../../runtime/ids.ts'
import { Problem } from '../../runtime/problem.ts'
import type { Isolation, Plan } from '../../tenancy/plan.ts'
import { OBJECTS_VERSION } from '../provisioners/tenant-schema.ts'
import { requireBackend } from '../stores/backend-store.ts'
import { findOperation, insertOperation, type OperationRow } from '../stores/operation-store.ts'
import { occupyPlace } from '../stores/server-store.ts'
import { insertTenantKey } from '../stores/tenant-key-store.ts'
import { insertTenant, tenantExisted } from '../stores/tenant-store.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { type Mutation, mutate } from './mutation.ts'
import { auditTenant, renderTenant } from './render.ts'

export type TenantRequest = {
  name: string
  plan?: string | undefined
  region?: string | undefined
  isolation?: Isolation | undefined
  backend?: string | undefined
}
export type ShownKeys = { anon: string; service: string }

const DEFAULT_REGION = 'local'
/** The process that takes the request runs the operation itself; the queue is only to catch what it drops. */
const NET_SECONDS = 10

/** The plan asked for, which must offer the isolation asked for. @throws Problem 400 naming the field. */
export function choosePlan(
  services: AppServices,
  planId: string | undefined,
  isolation: Isolation,
  field: string,
): Plan {
  const plan = planId === undefined ? services.catalogue.defaultPlan : services.catalogue.find(planId)
  if (plan === undefined)
    throw new Problem(400, 'validation_failed', {
      detail: 'There is no such plan.',
      errors: [{ path: 'plan', message: `must be one of ${services.catalogue.plans.map((p) => p.id).join(', ')}` }],
    })
  if (!plan.isolations.includes(isolation))
    throw new Problem(400, 'isolation_not_offered', {
      detail: `The plan ${plan.id} does not offer ${isolation} isolation.`,
      errors: [{ path: field, message: `the plan ${plan.id} offers ${plan.isolations.join(', ')}` }],
    })
  if (!services.isolations.includes(isolation))
    throw new Problem(501, 'isolation_not_available', {
      detail: `This platform has no ${isolation} isolation.`,
      errors: [{ path: field, message: `this platform has ${services.isolations.join(', ')}` }],
    })
  return plan
}

/**
 * Accepts a tenant: row, keys, operation, audit entry and the tie to the Idempotency-Key in one transaction. The keys are
 * kept sealed with the operation, so that a repeated request, also after a crash, shows the same ones.
 */
export async function acceptTenant(
  c: Context<AppEnv>,
  services: AppServices,
  request: TenantRequest,
  options: { isAsync: boolean },
): Promise<{ operation: OperationRow; keys: ShownKeys }> {
  const isolation = request.isolation ?? 'schema'
  const plan = choosePlan(services, request.plan, isolation, 'isolation')
  const operationId = makeId('op', services.clock.nowMs())
  const accepted = await mutate(c, services, async (change) => {
    if (request.backend !== undefined) await requireBackend(change.tx, request.backend)
    const spare = await services.takeSpare(change, isolation)
    const tenantId = spare?.tenantId ?? makeId('ten', services.clock.nowMs())
    const row = await insertTenant(change, {
      tenant_id: tenantId,
      server: spare?.server ?? null,
      name: request.name,
      plan: plan.id,
      region: request.region ?? DEFAULT_REGION,
      isolation,
      backend: request.backend ?? null,
      objectsVersion: OBJECTS_VERSION,
    })
    const anon = await insertTenantKey(change, tenantId, 'anon')
    const service = await insertTenantKey(change, tenantId, 'service')
    const keys: ShownKeys = { anon: anon.key, service: service.key }
    const operation = await insertOperation(change, {
      operationId,
      tenantId,
      kind: 'create',
      sealedResult: services.sealer.seal(JSON.stringify(keys), `operation:${operationId}`),
      jobDelaySeconds: options.isAsync ? 0 : NET_SECONDS,
    })
    // Last, because all creates on a server meet at its row.
    if (spare !== undefined) await occupyPlace(change, spare.server)
    const mutation: Mutation<{ operation: OperationRow; keys: ShownKeys }, 202> = {
      status: 202,
      body: { operation, keys },
      audit: { action: 'tenant.create', target: tenantId, before: null, after: auditTenant(row) },
      answeredBy: operationId,
    }
    return mutation
  })
  return accepted.body
}

/** What a create answers once its operation has succeeded; `undefined` while it runs. @throws Problem when it failed. */
export async function renderCreated(services: AppServices, operation: OperationRow) {
  if (operation.status === 'running') return undefined
  if (operation.status === 'failed')
    throw new Problem(operation.error_code === 'no_capacity' ? 503 : 500, operation.error_code ?? 'internal', {
      detail: operation.error_detail ?? 'The tenant could not be made.',
    })
  const tenant = await tenantExisted(services.pool, operation.tenant_id)
  if (tenant === undefined) throw new Error('The tenant of the operation is gone')
  return { ...renderTenant(tenant, services.catalogue, services.domain), keys: openKeys(services, operation) }
}

/** Answers a repeated create from its operation. */
export async function resumeCreate(services: AppServices, operationId: string) {
  const operation = await findOperation(services.pool, operationId)
  if (operation === undefined || operation.sealed_result === null) return undefined
  const body = await renderCreated(services, operation)
  return body === undefined ? undefined : ({ status: 201, body } as const)
}

function openKeys(services: AppServices, operation: OperationRow): ShownKeys {
  if (operation.sealed_result === null) throw new Error('The keys of the operation are gone')
  return JSON.parse(services.sealer.open(operation.sealed_result, `operation:${operation.operation_id}`)) as ShownKeys
}
