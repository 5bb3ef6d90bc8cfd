import pg from 'pg'
import { makeId } from '../../runtime/ids.ts'
import { Problem } from '../../runtime/problem.ts'
import type { Change, Queryable } from './change.ts'

export type OperationKind = 'create' | 'delete' | 'restore' | 'purge' | 'move'
export type OperationStatus = 'running' | 'succeeded' | 'failed'

export type OperationRow = {
  operation_id: string
  tenant_id: string
  kind: OperationKind
  status: OperationStatus
  step: string | null
  attempts: number
  error_code: string | null
  error_detail: string | null
  sealed_result: string | null
  lease_owner: string | null
  lease_until: Date | null
  next_run_at: Date
  deadline_at: Date
  created_at: Date
  finished_at: Date | null
}

/** How long each kind may take before it is ended as failed, in seconds. */
export const DEADLINE_SECONDS: Readonly<Record<OperationKind, number>> = {
  create: 120,
  delete: 120,
  restore: 120,
  purge: 600,
  move: 3_600,
}

/**
 * Notes an operation and its job in the transaction of the change that asks for it. The job is due at once, for whichever
 * replica is free; or after `jobDelaySeconds`, as the net below the process that runs the operation itself right away.
 * @throws Problem 409 `operation_running` while another one is under way for the tenant.
 */
export async function insertOperation(
  change: Change,
  operation: {
    operationId?: string
    tenantId: string
    kind: OperationKind
    sealedResult?: string
    jobDelaySeconds: number
  },
): Promise<OperationRow> {
  try {
    const result = await change.tx.query<OperationRow>(
      `insert into control.operations (operation_id, tenant_id, kind, sealed_result, deadline_at)
       values ($1, $2, $3, $4, now() + make_interval(secs => $5)) returning *`,
      [
        operation.operationId ?? makeId('op'),
        operation.tenantId,
        operation.kind,
        operation.sealedResult ?? null,
        DEADLINE_SECONDS[operation.kind],
      ],
    )
    const row = result.rows[0]
    if (row === undefined) throw new Error('unreachable')
    await addOperationJob(change.tx, row.operation_id, operation.jobDelaySeconds)
    return row
  } catch (fault) {
    if (fault instanceof pg.DatabaseError && fault.constraint === 'operations_running')
      throw new Problem(409, 'operation_running', {
        detail: 'Another operation is under way for this tenant.',
        headers: { 'Retry-After': '1' },
      })
    throw fault
  }
}

/** Queues an attempt at the operation; one that is queued already is replaced. */
export async function addOperationJob(db: Queryable, operationId: string, delaySeconds: number): Promise<void> {
  await db.query(
    `select graphile_worker.add_job('operation', json_build_object('operation_id', $1::text),
       run_at := now() + make_interval(secs => $2), max_attempts := 1, job_key := $1::text)`,
    [operationId, delaySeconds],
  )
}

export async function findOperation(db: Queryable, operationId: string): Promise<OperationRow | undefined> {
  const result = await db.query<OperationRow>('select * from control.operations where operation_id = $1', [operationId])
  return result.rows[0]
}

/** Operations, newest first, after the id `before`; each with its tenant's name. */
export async function listOperations(
  db: Queryable,
  filter: {
    status?: OperationStatus | undefined
    kind?: OperationKind | undefined
    tenantId?: string | undefined
    before?: string | undefined
    limit: number
  },
): Promise<(OperationRow & { tenant_name: string })[]> {
  const result = await db.query<OperationRow & { tenant_name: string }>(
    `select operation.*, tenant.name as tenant_name
     from control.operations operation join control.tenants tenant using (tenant_id)
     where ($1::text is null or operation.status = $1) and ($2::text is null or operation.kind = $2)
       and ($3::text is null or operation.tenant_id = $3) and ($4::text is null or operation_id < $4)
     order by operation_id desc limit $5`,
    [filter.status ?? null, filter.kind ?? null, filter.tenantId ?? null, filter.before ?? null, filter.limit],
  )
  return result.rows
}

/** Takes the operation for `owner`; `undefined` when it has ended or another process holds it. */
export async function claimOperation(
  db: Queryable,
  operationId: string,
  owner: string,
  leaseSeconds: number,
): Promise<OperationRow | undefined> {
  const result = await db.query<OperationRow>(
    `update control.operations
     set lease_owner = $2, lease_until = now() + make_interval(secs => $3), attempts = attempts + 1
     where operation_id = $1 and status = 'running' and (lease_until is null or lease_until < now())
     returning *`,
    [operationId, owner, leaseSeconds],
  )
  return result.rows[0]
}

/** Keeps a lease; false when it was lost. */
export async function renewLease(
  db: Queryable,
  operationId: string,
  owner: string,
  leaseSeconds: number,
): Promise<boolean> {
  const result = await db.query(
    `update control.operations set lease_until = now() + make_interval(secs => $3)
     where operation_id = $1 and lease_owner = $2 and status = 'running'`,
    [operationId, owner, leaseSeconds],
  )
  return result.rowCount === 1
}

export async function recordStep(db: Queryable, operationId: string, step: string): Promise<void> {
  await db.query('update control.operations set step = $2 where operation_id = $1', [operationId, step])
}

/** Gives the operation back after a failed attempt; it is due again after `delaySeconds`. */
export async function releaseOperation(
  db: Queryable,
  operationId: string,
  delaySeconds: number,
  reason: { code: string; detail: string },
): Promise<void> {
  await db.query(
    `update control.operations set lease_owner = null, lease_until = null, error_code = $3, error_detail = $4,
       next_run_at = now() + make_interval(secs => $2)
     where operation_id = $1 and status = 'running'`,
    [operationId, delaySeconds, reason.code, reason.detail],
  )
}

/** Ends the operation, unless it has ended or another process has taken it over: false then. */
export async function finishOperation(
  db: Queryable,
  operationId: string,
  owner: string,
  outcome: { status: 'succeeded' } | { status: 'failed'; code: string; detail: string },
): Promise<boolean> {
  const failed = outcome.status === 'failed' ? outcome : undefined
  const result = await db.query(
    `update control.operations
     set status = $2::text, error_code = $3, error_detail = $4, finished_at = now(), lease_owner = null, lease_until = null,
         sealed_result = case when $2::text = 'failed' then null else sealed_result end
     where operation_id = $1 and status = 'running' and lease_owner = $5`,
    [operationId, outcome.status, failed?.code ?? null, failed?.detail ?? null, owner],
  )
  return result.rowCount === 1
}

/** Operations that are due and that nobody works on: their process died, or an attempt failed. */
export async function listAbandonedOperations(db: Queryable, limit: number): Promise<string[]> {
  const result = await db.query<{ operation_id: string }>(
    `select operation_id from control.operations
     where status = 'running' and next_run_at <= now() and (lease_until is null or lease_until < now())
       and created_at < now() - interval '2 seconds'
     order by next_run_at limit $1`,
    [limit],
  )
  return result.rows.map((row) => row.operation_id)
}

/** Forgets results that nobody can ask for any more. */
export async function dropOldResults(db: Queryable, keepSeconds: number): Promise<void> {
  await db.query(
    `update control.operations set sealed_result = null
     where sealed_result is not null and status <> 'running' and created_at < now() - make_interval(secs => $1)`,
    [keepSeconds],
  )
}
