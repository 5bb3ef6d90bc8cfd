import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { Problem } from '../../runtime/problem.ts'
import type { Isolation } from '../../tenancy/plan.ts'
import { eventOfOperation } from '../outreach/events.ts'
import { Slots } from '../slots.ts'
import { openAlert, resolveAlert } from '../stores/alert-store.ts'
import { type Change, makeChange, type PublishTouched } from '../stores/change.ts'
import {
  claimOperation,
  findOperation,
  finishOperation,
  type OperationKind,
  type OperationRow,
  recordStep,
  releaseOperation,
  renewLease,
} from '../stores/operation-store.ts'
import { lockAnyTenant, lockName, type TenantRow, tenantExisted } from '../stores/tenant-store.ts'
import { emitEvent } from '../stores/webhook-store.ts'
import type { Procedure, Step } from './procedures.ts'

const LEASE_SECONDS = 10
/** Cleaning up after a failure may take so long; what remains is left to a later purge. */
const CLEAN_UP_MS = 10_000
const MAX_RETRY_SECONDS = 15

export type Procedures = (isolation: Isolation, kind: OperationKind) => Procedure

export type ReconcilerOptions = {
  pool: PostgresPool
  publish: PublishTouched
  procedures: Procedures
  /** Names this process in leases; unique to its boot. */
  owner: string
  /** Operations that run at once in this process. */
  concurrency: number
  /** A process that has not renewed its lease for so long is taken for dead, and another takes its operations over. */
  leaseSeconds?: number
  log: Logger
  /** Told of each operation that ended here; it must not throw. */
  onEnded?: (kind: OperationKind, tenantName: string) => void
  /** Tests stop or kill the process here: called after each step with `<kind>:<step>`. */
  afterStep?: (point: string) => Promise<void> | void
}

/** Runs operations to their end: each is held by one process at a time, resumed by another when that one dies. */
export class Reconciler {
  readonly #options: ReconcilerOptions
  readonly #running = new Map<string, Promise<void>>()
  readonly #slots: Slots

  constructor(options: ReconcilerOptions) {
    this.#options = options
    this.#slots = new Slots(options.concurrency)
  }

  /** Makes one attempt at the operation, unless another process holds it. Never throws: the outcome is in the tables. */
  run(operationId: string): Promise<void> {
    let running = this.#running.get(operationId)
    if (running === undefined) {
      running = this.#slots
        .run(() => this.#attempt(operationId))
        .catch((fault) => this.#options.log.error({ err: fault, operation_id: operationId }, 'an attempt was cut off'))
        .finally(() => this.#running.delete(operationId))
      this.#running.set(operationId, running)
    }
    return running
  }

  /** Waits until the operation has ended, wherever it runs, at most `timeoutMs`; then it may be running still. */
  async whenEnded(operationId: string, timeoutMs: number): Promise<OperationRow> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      await this.#running.get(operationId)
      const operation = await findOperation(this.#options.pool, operationId)
      if (operation === undefined) throw new Error('The operation is not there')
      if (operation.status !== 'running' || performance.now() > deadline) return operation
      await sleep(50)
    }
  }

  /** Resolves when no attempt runs in this process any more. */
  async drain(): Promise<void> {
    await Promise.all(this.#running.values())
  }

  async #attempt(operationId: string): Promise<void> {
    const { pool, owner, log, leaseSeconds = LEASE_SECONDS } = this.#options
    const operation = await claimOperation(pool, operationId, owner, leaseSeconds)
    if (operation === undefined) return
    const tenant = await tenantExisted(pool, operation.tenant_id)
    if (tenant === undefined) throw new Error('The operation has no tenant')
    const procedure = this.#options.procedures(tenant.isolation, operation.kind)
    const heartbeat = setInterval(
      () => {
        renewLease(pool, operationId, owner, leaseSeconds).catch((fault) =>
          log.warn({ err: fault, operation_id: operationId }, 'a lease could not be renewed'),
        )
      },
      (leaseSeconds * 1_000) / 3,
    )
    try {
      if (operation.deadline_at.getTime() <= Date.now())
        await this.#fail(operation, procedure, new Problem(504, 'deadline_exceeded', { detail: lastReason(operation) }))
      else await this.#proceed(operation, tenant, procedure)
    } catch (fault) {
      await this.#retryOrFail(operation, procedure, fault)
    } finally {
      clearInterval(heartbeat)
    }
  }

  async #proceed(operation: OperationRow, first: TenantRow, procedure: Procedure): Promise<void> {
    let tenant = first
    for (const step of procedure.steps) {
      await this.#runStep(operation, step, tenant)
      await this.#options.afterStep?.(`${operation.kind}:${step.name}`)
      if (step.kind === 'change') tenant = (await tenantExisted(this.#options.pool, tenant.tenant_id)) ?? tenant
    }
    await this.#end(operation, tenant, { status: 'succeeded' }, procedure.succeed)
    await this.#options.afterStep?.(`${operation.kind}:succeed`)
  }

  async #runStep(operation: OperationRow, step: Step, tenant: TenantRow): Promise<void> {
    const remainingMs = operation.deadline_at.getTime() - Date.now()
    if (step.kind === 'effect') {
      await withDeadline(step.run(tenant), remainingMs)
      return
    }
    await this.#change(async (change) => {
      // The row is held, so that no other attempt is between reading and writing it.
      await step.run(change, await lockAnyTenant(change, tenant.tenant_id))
      await recordStep(change.tx, operation.operation_id, step.name)
    })
  }

  async #retryOrFail(operation: OperationRow, procedure: Procedure, fault: unknown): Promise<void> {
    const { pool, log } = this.#options
    // Where there is no room another attempt finds none: who asks is told at once, and may ask again after an operator has acted.
    const isFinal = fault instanceof Problem && (fault.status < 500 || fault.code === 'no_capacity')
    const delaySeconds = Math.min(0.25 * 2 ** operation.attempts, MAX_RETRY_SECONDS)
    const isLate = operation.deadline_at.getTime() <= Date.now() + delaySeconds * 1_000
    log.warn({ err: fault, operation_id: operation.operation_id, kind: operation.kind }, 'an attempt failed')
    if (isFinal || isLate) await this.#fail(operation, procedure, fault)
    else await releaseOperation(pool, operation.operation_id, delaySeconds, describe(fault))
  }

  async #fail(operation: OperationRow, procedure: Procedure, fault: unknown): Promise<void> {
    const { pool, log } = this.#options
    const tenant = await tenantExisted(pool, operation.tenant_id)
    if (tenant === undefined) throw new Error('The operation has no tenant')
    let isClean = true
    try {
      await withDeadline(procedure.cleanUp(tenant), CLEAN_UP_MS)
    } catch (cleanUpFault) {
      isClean = false
      log.warn({ err: cleanUpFault, operation_id: operation.operation_id }, 'leftovers remain for a later purge')
    }
    await this.#end(operation, tenant, { status: 'failed', ...describe(fault) }, (change, current) =>
      procedure.fail(change, current, isClean),
    )
  }

  /** Ends the operation and writes what it has come to, unless another process has taken it over meanwhile. */
  async #end(
    operation: OperationRow,
    tenant: TenantRow,
    outcome: Parameters<typeof finishOperation>[3],
    write: (change: Change, tenant: TenantRow) => Promise<void>,
  ): Promise<void> {
    let hasEnded = false
    await this.#change(async (change) => {
      // Locks are always taken in this order: name, tenant, operation. See lockName.
      await lockName(change, tenant.name)
      const current = await lockAnyTenant(change, tenant.tenant_id)
      const { operation_id, kind } = operation
      hasEnded = await finishOperation(change.tx, operation_id, this.#options.owner, outcome)
      if (!hasEnded) return
      await write(change, current)
      const { tenant_id, name } = current
      await emitEvent(change, eventOfOperation(kind, outcome.status), { operation_id, kind, tenant_id, name })
      const fingerprint = `operation_failed:${kind}:${tenant_id}`
      if (outcome.status === 'succeeded') await resolveAlert(change, fingerprint)
      else
        await openAlert(change, {
          fingerprint,
          kind: 'operation_failed',
          severity: 'warning',
          tenantId: tenant_id,
          detail: `The operation ${operation_id} (${kind}) failed: ${outcome.code}.`,
        })
    })
    if (hasEnded) this.#options.onEnded?.(operation.kind, tenant.name)
  }

  #change<Result>(work: Parameters<typeof makeChange<Result>>[2]): Promise<Result> {
    return makeChange(this.#options.pool, this.#options.publish, work)
  }
}

function describe(fault: unknown): { code: string; detail: string } {
  if (fault instanceof Problem) return { code: fault.code, detail: fault.detail ?? fault.code }
  return { code: 'internal', detail: 'A step failed on our side.' }
}

function lastReason(operation: OperationRow): string {
  return operation.error_detail === null
    ? 'The operation did not end in time.'
    : `The operation did not end in time. The last attempt: ${operation.error_detail}`
}

async function withDeadline<Result>(work: Promise<Result>, timeoutMs: number): Promise<Result> {
  const controller = new AbortController()
  const late = sleep(Math.max(timeoutMs, 0), undefined, { signal: controller.signal }).then(() => {
    throw new Problem(504, 'deadline_exceeded', { detail: 'A step did not end in time.' })
  })
  try {
    return await Promise.race([work, late])
  } finally {
    controller.abort()
    late.catch(() => {})
    work.catch(() => {})
  }
}
