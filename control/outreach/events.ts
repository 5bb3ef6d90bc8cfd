import type { OperationRow } from '../stores/operation-store.ts'

/** What webhooks may be told of. */
export const EVENT_TYPES = [
  'tenant.created',
  'tenant.updated',
  'tenant.deleted',
  'tenant.restored',
  'tenant.purged',
  'tenant_key.created',
  'tenant_key.rotated',
  'tenant_key.revoked',
  'tenant_jwt.updated',
  'operation.failed',
  'access_grant.requested',
  'access_grant.approved',
  'access_grant.denied',
  'access_grant.ended',
  'alert.opened',
  'alert.resolved',
  'webhook.test',
] as const
export type EventType = (typeof EVENT_TYPES)[number]

/** The event that an audited action is, where it is one. A create or delete is told of when its operation has ended. */
export const EVENT_OF_ACTION: Readonly<Record<string, EventType>> = {
  'tenant.update': 'tenant.updated',
  'tenant_key.create': 'tenant_key.created',
  'tenant_key.rotate': 'tenant_key.rotated',
  'tenant_key.revoke': 'tenant_key.revoked',
  'tenant_jwt.set': 'tenant_jwt.updated',
  'access_grant.request': 'access_grant.requested',
  'access_grant.approve': 'access_grant.approved',
  'access_grant.deny': 'access_grant.denied',
  'access_grant.end': 'access_grant.ended',
}

const EVENT_OF_KIND: Readonly<Record<OperationRow['kind'], EventType>> = {
  create: 'tenant.created',
  delete: 'tenant.deleted',
  restore: 'tenant.restored',
  purge: 'tenant.purged',
  move: 'tenant.updated',
}

/** The event that the end of an operation is. */
export function eventOfOperation(kind: OperationRow['kind'], status: 'succeeded' | 'failed'): EventType {
  return status === 'succeeded' ? EVENT_OF_KIND[kind] : 'operation.failed'
}
