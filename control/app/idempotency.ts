import { createHash } from 'node:crypto'
import { createMiddleware } from 'hono/factory'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { Problem } from '../../runtime/problem.ts'
import { releaseIdempotencyKey, takeIdempotencyKey } from '../stores/idempotency-store.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { idempotencyContext } from './mutation.ts'

/** A structured-field string, as the draft has it, or the bare token that most clients send. */
const SHAPE = /^(?:"([\x20-\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x7e][\x20-\x7e]{0,254}))$/

/** Answers a repeated request from the operation that its first run had begun. */
export type ResumeFromOperation = (
  operationId: string,
) => Promise<{ status: ContentfulStatusCode; body: unknown } | undefined>

/**
 * `Idempotency-Key` on `POST` (draft-ietf-httpapi-idempotency-key-header): the same key with the same request gets the
 * kept answer again (`Idempotency-Replayed: true`), with another request 422, while the first is under way 409. Keys are
 * the caller's own and are kept for 24 hours. A request that was refused changed nothing and is not kept.
 */
export function idempotency(services: AppServices, resume: ResumeFromOperation) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const header = c.req.header('idempotency-key')
    if (c.req.method !== 'POST' || header === undefined) return next()
    const match = SHAPE.exec(header.trim())
    const key = match?.[1] ?? match?.[2]
    if (key === undefined)
      throw new Problem(400, 'idempotency_key_invalid', {
        detail: 'Idempotency-Key must be 1 to 255 printable ASCII characters.',
      })
    const caller = c.var.principal.key_id
    const fingerprint = makeFingerprint(c.req.method, c.req.path, c.req.url.split('?')[1] ?? '', await c.req.text())
    const known = await takeIdempotencyKey(services.pool, caller, key, fingerprint)
    if (known === undefined) {
      c.set('idempotency', { caller, key })
      await next()
      // Hono's error handler has already answered here: what was refused leaves the key free.
      if (c.res.status >= 400) await releaseIdempotencyKey(services.pool, caller, key)
      return
    }
    if (known.fingerprint !== fingerprint)
      throw new Problem(422, 'idempotency_key_reused', {
        detail: 'This Idempotency-Key was used for another request.',
      })
    if (known.sealed_response !== null && known.status !== null) {
      const { body } = JSON.parse(services.sealer.open(known.sealed_response, idempotencyContext(caller, key))) as {
        body: unknown
      }
      c.header('Idempotency-Replayed', 'true')
      return c.json(body, known.status as ContentfulStatusCode)
    }
    const resumed = known.operation_id === null ? undefined : await resume(known.operation_id)
    if (resumed === undefined)
      throw new Problem(409, 'idempotency_key_in_flight', {
        detail: 'The first request with this Idempotency-Key is still under way.',
        headers: { 'Retry-After': '1' },
      })
    c.header('Idempotency-Replayed', 'true')
    return c.json(resumed.body, resumed.status)
  })
}

/** Equal for requests that ask for the same: members of JSON objects may come in any order. */
export function makeFingerprint(method: string, path: string, query: string, body: string): string {
  let canonical = body
  try {
    canonical = JSON.stringify(sortMembers(JSON.parse(body)))
  } catch {
    // Not JSON: taken as it is.
  }
  return createHash('sha256')
    .update(JSON.stringify([method, path, query, canonical]))
    .digest('base64url')
}

function sortMembers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortMembers)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => [name, sortMembers(member)])
}
