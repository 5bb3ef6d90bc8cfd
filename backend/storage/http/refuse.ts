import type { IncomingMessage, ServerResponse } from 'node:http'
import { PROBLEM_CONTENT_TYPE } from '../../../runtime/problem.ts'
import { asStorageProblem, storageErrorBody } from '../errors.ts'

/** A refused body of up to this length is read to its end, so that the connection can go on. */
const DRAIN_BYTES = 1024 * 1024
/** After a refusal the client has this long to notice and stop sending, before the connection is closed. */
const LINGER_MS = 2_000

/**
 * Answers with what went wrong. A client that is still sending gets the whole answer at once, and then a closed connection:
 * taking in gigabytes only to throw them away would cost more than a connection. Until it stops, or the time is over, what it
 * sends is read, since closing a connection with unread bytes takes the answer away from it too.
 */
export function refuse(request: IncomingMessage, response: ServerResponse, fault: unknown, requestId: string): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const problem = asStorageProblem(fault)
  for (const name of response.getHeaderNames()) if (name !== 'tus-resumable') response.removeHeader(name)
  const body = JSON.stringify(storageErrorBody(problem, requestId))
  const staysOpen = request.complete || isShort(request)
  response.writeHead(problem.status, {
    ...problem.headers,
    'Content-Type': PROBLEM_CONTENT_TYPE,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Request-Id': requestId,
    ...(staysOpen ? {} : { Connection: 'close' }),
  })
  request.on('error', () => {})
  if (staysOpen) {
    response.end(request.method === 'HEAD' ? undefined : body)
    request.resume()
    return
  }
  response.write(body)
  // Ending the response is what closes the connection.
  const close = () => {
    clearTimeout(timer)
    response.end()
  }
  const timer = setTimeout(close, LINGER_MS).unref()
  request.once('end', close)
  request.once('close', close)
  request.resume()
}

/** Whether the rest of the body is known to be short; a request that names no body has none. */
function isShort(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers
  return coding === undefined && Number(length ?? 0) <= DRAIN_BYTES
}
