import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '../runtime/clock.ts'
import { PROBLEM_CONTENT_TYPE, Problem, toProblemDocument } from '../runtime/problem.ts'
import type { ClientOrigins } from './client-address.ts'
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
  clients: ClientOrigins
  clock: Clock
  maxHeaderBytes: number
  maxTargetBytes: number
  /** For the whole head. */
  headTimeoutMs: number
  keepAliveMs: number
}

/** How long a client that did not speak HTTP may take to read why it was refused. */
const REFUSAL_LINGER_MS = 1_000

/** The public HTTP/1.1 server: turns what Node parsed into an exchange, or refuses it before any step runs. */
export function makeHttpEdge(options: HttpEdgeOptions): Server {
  const server = createServer(
    {
      maxHeaderSize: options.maxHeaderBytes,
      headersTimeout: options.headTimeoutMs,
      // Bodies have no deadline, they are watched for progress; this one would be for the whole request.
      requestTimeout: 0,
      connectionsCheckingInterval: Math.min(1_000, options.headTimeoutMs),
      keepAliveTimeout: options.keepAliveMs,
      insecureHTTPParser: false,
      // Two `Host` fields are refused below, with an answer of ours.
      requireHostHeader: false,
      shouldUpgradeCallback: isRealtimeUpgrade,
    },
    (request, response) => {
      if (isAfterTheEnd(request, response)) return
      accept(toExchange(request, response, options), options, options.serve)
    },
  )
  // It never listens itself (the primary hands it its sockets), and Node begins to track connections when a server listens:
  // without that no head times out and no idle connection is ever closed.
  server.emit('listening')
  server.on('checkContinue', (request, response) => {
    if (isAfterTheEnd(request, response)) return
    accept(toExchange(request, response, options, { expectsContinue: true }), options, options.serve)
  })
  server.on('checkExpectation', (request, response) => {
    if (isAfterTheEnd(request, response)) return
    respondProblem(
      toExchange(request, response, options),
      new Problem(417, 'expectation_failed', { detail: 'Only `Expect: 100-continue` is understood.', headers: CLOSE }),
    )
  })
  server.on('upgrade', (request, socket, head) => {
    // A client may send frames before it has the answer: they follow the handshake.
    if (head.length > 0) socket.unshift(head)
    accept(
      toExchange(request, responseOn(request, socket), options, { isUpgrade: true }),
      options,
      options.serveUpgrade,
    )
  })
  server.on('clientError', (fault: NodeJS.ErrnoException, socket) => {
    if (fault.code === 'ECONNRESET' || !socket.writable) return socket.destroy()
    refuseInTurn(socket, () => rawRefusal(fault.code, options.requestIds.next()))
  })
  return server
}

/** On a socket: its connection ends with an answer that is under way, and whatever else comes over it is nobody's request. */
const ENDING = Symbol('ending')
type ClientSocket = Duplex & { [ENDING]?: boolean; _httpMessage?: ServerResponse | null }

/**
 * True for a request after one that ends its connection. An `Upgrade` that we ignore does: of what follows it in the same
 * packet Node's parser has lost the beginning, and the rest would be read as something that nobody has sent.
 */
function isAfterTheEnd(request: IncomingMessage, response: ServerResponse): boolean {
  const socket: ClientSocket = request.socket
  if (socket[ENDING] === true) return true
  if (request.headers.upgrade !== undefined && /upgrade/i.test(request.headers.connection ?? '')) {
    socket[ENDING] = true
    response.shouldKeepAlive = false
  }
  return false
}

/** Refuses what is not HTTP after the answers to what came whole before it: they are in order, and each is its own request's. */
function refuseInTurn(socket: ClientSocket, refusal: () => string): void {
  const before = socket._httpMessage
  if (before?.req.complete === true) {
    if (socket[ENDING] === true) return
    socket[ENDING] = true
    before.once('close', () => {
      socket[ENDING] = false
      // Where the answer has ended the connection there is nobody left to refuse.
      if (socket.writable) refuseInTurn(socket, refusal)
    })
    return
  }
  if (socket[ENDING] === true) return
  socket[ENDING] = true
  socket.end(refusal())
  setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS).unref()
}

/** Takes a request of HTTP/2, which another server has parsed (`tls-edge.ts`). */
export function acceptRequest(request: IncomingMessage, response: ServerResponse, options: HttpEdgeOptions): void {
  accept(toExchange(request, response, options), options, options.serve)
}

/** A client that sent such a request may mean something else by what follows it. */
const CLOSE = { Connection: 'close' }

function accept(exchange: Exchange, options: HttpEdgeOptions, serve: (exchange: Exchange) => void): void {
  const problem = refusalOf(exchange, options)
  if (problem === undefined) serve(exchange)
  else respondProblem(exchange, problem)
}

/** What is wrong with a request whoever it is for. */
function refusalOf(exchange: Exchange, options: HttpEdgeOptions): Problem | undefined {
  if (exchange.host === '')
    return new Problem(400, 'invalid_host', { detail: 'Send exactly one valid Host.', headers: CLOSE })
  if (exchange.target.length > options.maxTargetBytes)
    return new Problem(414, 'target_too_long', { detail: 'The address is too long.', headers: CLOSE })
  if (ESCAPES.test(exchange.path))
    return new Problem(400, 'invalid_path', { detail: 'The path must not hold dot segments.', headers: CLOSE })
  if (exchange.method === 'TRACE')
    return new Problem(405, 'method_not_allowed', { detail: 'TRACE is not served.', headers: CLOSE })
  const { httpVersionMajor: major, httpVersionMinor: minor } = exchange.request
  // `HTTP/2.0` in plain text is not HTTP/2, whose requests are streams.
  if (major !== 1 ? !('stream' in exchange.request) : minor > 1)
    return new Problem(400, 'malformed_request', { detail: 'There is no such version of HTTP.', headers: CLOSE })
  if (major === 1 && minor === 0 && exchange.request.headers['transfer-encoding'] !== undefined)
    return new Problem(400, 'malformed_request', { detail: 'HTTP/1.0 has no transfer codings.', headers: CLOSE })
  return undefined
}

/** Dot segments, plain or encoded, and backslashes: what would lead an upstream's normalisation out of the path that we checked. */
const ESCAPES = /(?:^|[/\\])(?:\.|%2e){1,2}(?:[/\\]|$)|\\|#|%00|%5c/i

/** The exchange of a request; its `host` is empty when there is not exactly one valid `Host`. */
function toExchange(
  request: IncomingMessage,
  response: ServerResponse,
  options: HttpEdgeOptions,
  { isUpgrade = false, expectsContinue = false } = {},
): Exchange {
  const requestId = options.requestIds.next()
  let target = request.url ?? ''
  let hostHeader = hostFieldOf(request)
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
    client: options.clients.of(request),
    expectsContinue,
    startedMs: options.clock.monotonicMs(),
    tenant: undefined,
    principal: undefined,
    responseHeaders: ['X-Request-Id', requestId],
    admitted: false,
    isUpgrade,
  }
}

/** The one `Host`, or HTTP/2's `:authority`, which a `Host` beside it must not contradict (RFC 9113 8.3.1); else nothing. */
function hostFieldOf(request: IncomingMessage): string {
  const hosts = countHosts(request.rawHeaders)
  if (request.httpVersionMajor !== 2) return hosts === 1 ? (request.headers.host ?? '') : ''
  const authority = request.headers[':authority']
  if (typeof authority !== 'string') return hosts === 1 ? (request.headers.host ?? '') : ''
  return hosts === 0 || request.headers.host === authority ? authority : ''
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
