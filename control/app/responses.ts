import type { z } from '@hono/zod-openapi'
import { problemSchema } from './schemas.ts'

const PROBLEMS = {
  400: 'The request breaks a rule; `errors` names which.',
  401: 'No valid platform key.',
  403: 'The role of the key does not allow it.',
  404: 'It does not exist, or the caller may not see it.',
  409: 'It is in the way of the present state.',
  412: 'It was changed meanwhile.',
  413: 'The body is too large.',
  415: 'The body is not JSON.',
  422: 'The Idempotency-Key was used for another request.',
  429: 'Too many wrong keys came from this address; `Retry-After` says when to come back.',
  501: 'Not available on this platform.',
  503: 'Not available at the moment; `Retry-After` says when.',
} as const

/** A JSON answer of a route. */
export function json<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { content: { 'application/json': { schema } }, description }
}

type Problems = typeof PROBLEMS

/** Where the one is answered, the other is too: a wrong key, a body that is no JSON, a key that another request used. */
const FOLLOWS = { 401: 429, 415: 413, 422: 409 } as const satisfies Partial<Record<keyof Problems, keyof Problems>>
type WithFollowing<Status> = Status | (Status extends keyof typeof FOLLOWS ? (typeof FOLLOWS)[Status] : never)

/** The problem documents of a route, with those that follow from them. */
export function problems<Status extends keyof Problems>(...statuses: Status[]) {
  const all = statuses.flatMap((status) => (status in FOLLOWS ? [status, FOLLOWS[status as 401]] : [status]))
  const responses = all.map((status) => [
    status,
    { content: { 'application/problem+json': { schema: problemSchema } }, description: PROBLEMS[status] },
  ])
  return Object.fromEntries(responses) as Record<
    WithFollowing<Status>,
    { content: { 'application/problem+json': { schema: typeof problemSchema } }; description: string }
  >
}

/** A required JSON body. */
export function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { content: { 'application/json': { schema } }, required: true }
}

/** Every route but the public ones is called with a platform key. */
export const BEARER = [{ platformKey: [] }]
