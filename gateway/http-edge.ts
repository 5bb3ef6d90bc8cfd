import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Clock } from '../runtime/clock.ts'
import { PROBLEM_CONTENT_TYPE, Problem, toProblemDocument } from '../runtime/problem.ts'
import type { Exchange } from './exchange.ts'
import type { HostTargets } from './host.ts'
import type { RequestIds } from './request-id.ts'
import { respondProblem } from './respond.ts'
import { isRealtimeUpgrade, responseOn } from './upgrade.ts'

export type HttpEdgeOptions = {
  serve(exchange: Exchange): void
  serveUpgrade(exchange: Exchange): void
  requestIds: RequestIds
  hosts: HostTargets
  clock: Clock
  maxHeaderBytes?: number
  /** For the whole head. */
  headTimeoutMs?: number
  keepAliveMs?: number
}

/** The public HTTP/1.1 server: turns what Node parsed into an exchange, or refuses it before any step runs. */
export function makeHttpEdge(options: HttpEdgeOptions): Server {
  const server = createServer(
    {
      maxHeaderSize: options.maxHeaderBytes ?? 32 * 1024,
      headersTimeout: options.headTimeoutMs ?? 15_000,
      requestTimeout: 0,
      keepAliveTimeout: options.keepAliveMs ?? 65_000,
      insecureHTTPParser: false,
      // Two `Host` fields are refused below, with an answer of ours.
      requireHostHeader: false,
      shouldUpgradeCallback: isRealtimeUpgrade,
    },
    (request, response) => accept(toExchange(request, response, options, false), options.serve),
  )
  server.on('upgrade', (request, socket, head) => {
    // A client may send frames before it has the answer: they follow the handshake.
    if (head.length > 0) socket.unshift(head)
    accept(toExchange(request, responseOn(request, socket), options, true), options.serveUpgrade)
  })
  // It never listens itself (the primary hands it its sockets), and Node begins to track connections when a server listens:
  // without that no head times out and no idle connection is ever closed.
  server.emit('listening')
  server.on('clientError', (fault: NodeJS.ErrnoException, socket) => {
    if (fault.code === 'ECONNRESET' || !socket.writable) return socket.destroy()
    socket.end(rawRefusal(fault.code, options.requestIds.next()))
  })
  return server
}

function accept(exchange: Exchange, serve: (exchange: Exchange) => void): void {
  if (exchange.host === '') {
    respondProblem(exchange, new Problem(400, 'invalid_host', { detail: 'Send exactly one valid Host.' }))
    return
  }
  if (ESCAPES.test(exchange.path)) {
    respondProblem(exchange, new Problem(400, 'invalid_path', { detail: 'The path must not hold dot segments.' }))
    return
  }
  serve(exchange)
}

/** Dot segments, plain or encoded, and backslashes: what would lead an upstream's normalisation out of the path that we checked. */
const ESCAPES = /(?:^|[/\\])(?:\.|%2e){1,2}(?:[/\\]|$)|\\|#|%00|%5c/i

/** The exchange of a request; its `host` is empty when there is not exactly one valid `Host`. */
function toExchange(
  request: IncomingMessage,
  response: ServerResponse,
  options: HttpEdgeOptions,
  isUpgrade: boolean,
): Exchange {
  const requestId = options.requestIds.next()
  let target = request.url ?? ''
  let hostHeader = countHosts(request.rawHeaders) === 1 ? (request.headers.host ?? '') : ''
  if (!target.startsWith('/')) {
    // Absolute form: its authority replaces `Host` (RFC 9112 3.2.2). `*` and authority form have nobody here to serve them.
    const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(target)
    hostHeader = absolute === null || hostHeader === '' ? '' : (absolute[1] ?? '')
    const rest = absolute?.[2] ?? ''
    target = rest.startsWith('/') ? rest : `/${rest}`
  }
  const mark = target.indexOf('?')
  const known = options.hosts.of(hostHeader)
  return {
    request,
    response,
    requestId,
    method: request.method ?? 'GET',
    target,
    path: mark < 0 ? target : target.slice(0, mark),
    host: known.host,
    hostTarget: known.target,
    hostHeader,
    clientAddress: request.socket.remoteAddress ?? '',
    protocol: 'http',
    startedMs: options.clock.monotonicMs(),
    tenant: undefined,
    principal: undefined,
    responseHeaders: ['X-Request-Id', requestId],
    admitted: false,
    isUpgrade,
  }
}

function countHosts(rawHeaders: readonly string[]): number {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name?.length === 4 && name.toLowerCase() === 'host') count++
  }
  return count
}

/** What a client gets whose bytes are not HTTP; the connection ends with it. */
function rawRefusal(code: string | undefined, requestId: string): string {
  const problem =
    code === 'HPE_HEADER_OVERFLOW'
      ? new Problem(431, 'header_too_large', { detail: 'The header is too large.' })
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new Problem(408, 'request_timeout', { detail: 'The request did not arrive in time.' })
        : new Problem(400, 'malformed_request', { detail: 'This is not an HTTP/1.1 request.' })
  const body = JSON.stringify(toProblemDocument(problem, requestId))
  return [
    `HTTP/1.1 ${problem.status} ${toProblemDocument(problem, requestId).title}`,
    `Content-Type: ${PROBLEM_CONTENT_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
