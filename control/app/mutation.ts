import type { Context } from 'hono'
import { EVENT_OF_ACTION } from '../outreach/events.ts'
import { type AuditEntry, appendAudit } from '../stores/audit-store.ts'
import { type Change, makeChange, type Queryable } from '../stores/change.ts'
import { linkIdempotencyKey, storeIdempotentResponse } from '../stores/idempotency-store.ts'
import { emitEvent } from '../stores/webhook-store.ts'
import { type AppEnv, type AppServices, actorOf } from './environment.ts'

/** What a change answers, and how it goes into the audit log. */
export type Mutation<Body, Status extends number> = {
  status: Status
  body: Body
  audit: AuditEntry
  /** The answer is made only when this operation has ended: a repeated request is answered from it. */
  answeredBy?: string
}

/**
 * Runs a change of the API in one transaction together with its audit entry and, under an `Idempotency-Key`, its answer:
 * either all of it has happened or nothing has, wherever the process dies. Its documents are published before it returns.
 */
export async function mutate<Body, Status extends number>(
  c: Context<AppEnv>,
  services: AppServices,
  work: (change: Change) => Promise<Mutation<Body, Status>>,
): Promise<Mutation<Body, Status>> {
  return makeChange(services.pool, services.publish, async (change) => {
    const mutation = await work(change)
    const ticket = c.var.idempotency
    if (mutation.answeredBy === undefined) await keepAnswer(c, services, change.tx, mutation.status, mutation.body)
    else if (ticket !== undefined) await linkIdempotencyKey(change.tx, ticket.caller, ticket.key, mutation.answeredBy)
    const event = EVENT_OF_ACTION[mutation.audit.action]
    if (event !== undefined) {
      const { target, before, after } = mutation.audit
      await emitEvent(change, event, { target, before: before ?? null, after: after ?? null })
    }
    await appendAudit(change, actorOf(c), mutation.audit)
    return mutation
  })
}

/** Keeps the answer to a request that carries an `Idempotency-Key`, sealed: it may hold keys that are shown once. */
export async function keepAnswer(
  c: Context<AppEnv>,
  services: AppServices,
  db: Queryable,
  status: number,
  body: unknown,
): Promise<void> {
  const ticket = c.var.idempotency
  if (ticket === undefined) return
  const sealed = services.sealer.seal(
    JSON.stringify({ body: body ?? null }),
    idempotencyContext(ticket.caller, ticket.key),
  )
  await storeIdempotentResponse(db, ticket.caller, ticket.key, status, sealed)
}

/** The place that a kept answer is sealed for: it may hold keys that were shown once. */
export function idempotencyContext(caller: string, key: string): string {
  return `idempotency:${caller}:${key}`
}
