import type { IncomingMessage, ServerResponse } from 'node:http'
import { PROBLEM_CONTENT_TYPE } from '../../../runtime/problem.ts'
import { asStorageProblem, storageErrorBody } from '../errors.ts'

/** A refused body of up to this length is read to its end, so that the connection can go on. */
const DRAIN_BYTES = 1024 * 1024
/** After a refusal the client has this long to notice and stop sending, before the connection is closed. */
const LINGER_MS = 2_000

/**
 * Answers with what went wrong. A client that is still sending gets the answer and then a closed connection: taking in
 * gigabytes only to throw them away would cost more than a connection.
 */
export function refuse(request: IncomingMessage, response: ServerResponse, fault: unknown, requestId: string): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const problem = asStorageProblem(fault)
  for (const name of response.getHeaderNames()) if (name !== 'tus-resumable') response.removeHeader(name)
  const body = JSON.stringify(storageErrorBody(problem, requestId))
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers
  const staysOpen = request.complete || (coding === undefined && Number(length ?? 0) <= DRAIN_BYTES)
  response.writeHead(problem.status, {
    ...problem.headers,
    'Content-Type': PROBLEM_CONTENT_TYPE,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Request-Id': requestId,
    ...(staysOpen ? {} : { Connection: 'close' }),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
  if (request.complete) return
  request.on('error', () => {})
  request.resume()
  if (staysOpen) return
  const timer = setTimeout(() => request.destroy(), LINGER_MS)
  timer.unref()
  request.once('close', () => clearTimeout(timer))
}
