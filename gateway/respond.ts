import { asProblem, PROBLEM_CONTENT_TYPE, type Problem, toProblemDocument } from '../runtime/problem.ts'
import type { Exchange } from './exchange.ts'
import { lingerAfterAnswer } from './lingering-close.ts'

/** Ends the exchange with a fault's problem document; does nothing when the response has begun or the client is gone. */
export function respondProblem(exchange: Exchange, fault: unknown): Problem {
  const problem = asProblem(fault)
  const fields: string[] = []
  for (const [name, value] of Object.entries(problem.headers)) fields.push(name, value)
  respond(
    exchange,
    problem.status,
    PROBLEM_CONTENT_TYPE,
    JSON.stringify(toProblemDocument(problem, exchange.requestId)),
    fields,
  )
  return problem
}

/** Ends the exchange with a body of the gateway's own. */
export function respond(
  exchange: Exchange,
  status: number,
  contentType: string | undefined,
  body: string,
  fields: readonly string[] = [],
): void {
  const { request, response } = exchange
  if (response.headersSent || response.destroyed) return
  const all = [...exchange.responseHeaders, ...fields]
  if (contentType !== undefined) all.push('Content-Type', contentType)
  if (status !== 204) all.push('Content-Length', String(Buffer.byteLength(body)))
  // An unread body would have to be read to its end before the connection could serve again.
  if (request.httpVersionMajor === 1 && !request.complete && hasBody(exchange)) {
    if (!fields.includes('Connection')) all.push('Connection', 'close')
    if (!exchange.isUpgrade) lingerAfterAnswer(request)
  }
  response.writeHead(status, request.httpVersionMajor === 1 ? all : withoutConnection(all))
  response.end(exchange.method === 'HEAD' ? undefined : body)
}

/** HTTP/2 has no `Connection` (RFC 9113 8.2.2). */
function withoutConnection(fields: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (fields[i] !== 'Connection') kept.push(fields[i] ?? '', fields[i + 1] ?? '')
  }
  return kept
}

/** A request has a body when its framing says so (RFC 9112 6.3); in HTTP/2, when its stream has not ended with its head. */
export function hasBody({ request }: Pick<Exchange, 'request'>): boolean {
  if (request.httpVersionMajor === 2) return !request.readableEnded && !('complete' in request && request.complete)
  const length = request.headers['content-length']
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}
