import { randomUUID } from 'node:crypto'
import type { Context, Env, Hono } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Logger } from './log.ts'
import { asProblem, PROBLEM_CONTENT_TYPE, Problem, toProblemDocument } from './problem.ts'

export type ServiceVariables = { requestId: string; log: Logger }

/** A request id that a peer sent is taken over only in this shape; anything else is replaced. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/** Gives each request its id (taken over from the trusted gateway in front, or made) and a logger that carries it. */
export function requestIdMiddleware(log: Logger) {
  return createMiddleware<{ Variables: ServiceVariables }>(async (c, next) => {
    const inbound = c.req.header('x-request-id')
    const requestId = inbound !== undefined && REQUEST_ID.test(inbound) ? inbound : randomUUID()
    c.set('requestId', requestId)
    c.set('log', log.child({ request_id: requestId }))
    c.header('X-Request-Id', requestId)
    await next()
  })
}

/** Renders every fault of `app` once, as a problem document; server faults are logged with their cause. */
export function renderProblems<E extends Env & { Variables: ServiceVariables }>(app: Hono<E>): void {
  app.notFound((c) =>
    problemResponse(c, new Problem(404, 'not_found', { detail: 'There is nothing at this address.' })),
  )
  app.onError((fault, c) => problemResponse(c, fault))
}

/** The response for `fault`; the request id middleware must have run. */
export function problemResponse<E extends Env & { Variables: ServiceVariables }>(
  c: Context<E>,
  fault: unknown,
): Response {
  const problem = asProblem(fault)
  const requestId = c.get('requestId') ?? randomUUID()
  if (problem.status >= 500)
    c.get('log')?.error({ err: problem.cause ?? problem, code: problem.code }, 'request failed')
  for (const [name, value] of Object.entries(problem.headers)) c.header(name, value)
  return c.body(JSON.stringify(toProblemDocument(problem, requestId)), problem.status as ContentfulStatusCode, {
    'Content-Type': PROBLEM_CONTENT_TYPE,
  })
}
