import type { Context } from 'hono'
import type { MeteringAnswer } from '../stores/metering-client.ts'
import { tenantExisted } from '../stores/tenant-store.ts'
import { notFound } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { mutate } from './mutation.ts'

/** What is done at metering, and how it goes into the audit log. */
export type MeteringAct = {
  method: 'POST' | 'PUT'
  path: string
  action: string
  target: string
  body?: Record<string, unknown>
  /** Sent along with the body, and of no interest to the audit log. */
  aside?: Record<string, unknown>
  timeoutMs?: number
}

/** Acts at metering first: only what it did is audited, and answered again under the same Idempotency-Key. */
export async function actAtMetering(
  c: Context<AppEnv>,
  services: AppServices,
  { method, path, action, target, body, aside, timeoutMs }: MeteringAct,
): Promise<MeteringAnswer> {
  const sent = body === undefined ? undefined : { ...body, ...aside }
  const answer = await services.metering.send(method, path, sent, timeoutMs)
  await mutate(c, services, async () => ({
    status: answer.status,
    body: answer.body,
    audit: { action, target, before: null, after: body ?? null },
  }))
  return answer
}

/** Lets through tenants that are or were: months of those that are gone are still to be paid. @throws Problem 404. */
export async function requireKnownTenant(services: AppServices, tenantId: string): Promise<void> {
  if ((await tenantExisted(services.pool, tenantId)) === undefined) throw notFound()
}

/** A query string of what is set. */
export function queryOf(values: Record<string, string | number | undefined>): URLSearchParams {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(values)) if (value !== undefined) query.set(name, String(value))
  return query
}
