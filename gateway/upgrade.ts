import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { UsageWriter } from '../metering/contract.ts'
import type { Clock } from '../runtime/clock.ts'
import { Problem } from '../runtime/problem.ts'
import { CONTEXT_HEADER } from '../tenancy/request-context.ts'
import type { ConnectionKeeper } from './connection-keeper.ts'
import type { Exchange } from './exchange.ts'
import type { ForwardOptions } from './forward.ts'
import { addForwardingFields, appendFieldsForClient, fieldsForUpstream } from './forward-headers.ts'
import { respondProblem } from './respond.ts'
import type { WebSocketTunnels } from './websocket-tunnels.ts'

/** The one thing that may be upgraded, and to what; any other `Upgrade` is ignored (RFC 9110 7.8). */
const REALTIME_PATH = '/realtime/v1/websocket'

/** True for a WebSocket handshake with the realtime API (RFC 6455 4.2.1). */
export function isRealtimeUpgrade(request: IncomingMessage): boolean {
  return (
    request.method === 'GET' &&
    request.headers.upgrade?.toLowerCase() === 'websocket' &&
    (request.url === REALTIME_PATH || request.url?.startsWith(`${REALTIME_PATH}?`) === true)
  )
}

/** On a response: what ends it with its socket. */
const GONE = Symbol('gone')
type HandshakeResponse = ServerResponse & { [GONE]?: () => void }

/** A response by which a handshake is refused; its connection ends with it. */
export function responseOn(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response: HandshakeResponse = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(request.socket)
  response.once('finish', () => {
    response.detachSocket(request.socket)
    socket.end()
  })
  response[GONE] = () => response.destroy()
  socket.once('close', response[GONE])
  return response
}

export type ForwardUpgradeOptions = ForwardOptions & {
  /** Makes a client for one upgrade to that origin: of one that is kept for more, undici remembers each upgrade. */
  connectUpgrade: (origin: string) => Dispatcher
  tunnels: WebSocketTunnels
  connections: ConnectionKeeper
  usage: UsageWriter
  clock: Clock
}

/** Step 6 of an upgrade: the handshake goes to the backend; when it agrees, bytes flow both ways until one side ends. */
export function makeForwardUpgrade(options: ForwardUpgradeOptions) {
  return function forwardUpgrade(exchange: Exchange): undefined {
    const { tenant, principal, request } = exchange
    if (tenant === undefined || principal === undefined) throw new Error('forward comes after authenticate')
    const upstream = options.upstreams.of(tenant.snapshot.backend)
    if (upstream === undefined) throw new Problem(503, 'tenant_provisioning', { headers: { 'Retry-After': '1' } })
    const headers = fieldsForUpstream(request, false)
    headers.push(CONTEXT_HEADER, principal.contextFor(tenant.snapshot, options.codec, options.clock.nowMs()))
    addForwardingFields(headers, exchange)
    const client = options.connectUpgrade(upstream.origin)
    client.dispatch(
      {
        origin: upstream.origin,
        path: exchange.target,
        method: 'GET',
        headers,
        upgrade: 'websocket',
        headersTimeout: HANDSHAKE_TIMEOUT_MS,
      },
      new UpgradeHandler(exchange, client, options),
    )
  }
}

const HANDSHAKE_TIMEOUT_MS = 10_000
/** Of a refusal's body; the rest is cut off. */
const MAX_REFUSAL_BYTES = 64 * 1024

class UpgradeHandler implements Dispatcher.DispatchHandler {
  readonly #exchange: Exchange
  readonly #client: Dispatcher
  readonly #options: ForwardUpgradeOptions
  #status = 0
  #fields: string[] = []
  #body: Buffer[] = []
  #bodyBytes = 0

  constructor(exchange: Exchange, client: Dispatcher, options: ForwardUpgradeOptions) {
    this.#exchange = exchange
    this.#client = client
    this.#options = options
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    const { response } = this.#exchange
    if (response.destroyed) controller.abort(new Error('The client is gone'))
    else response.once('close', () => controller.abort(new Error('The client is gone')))
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    upstream: Duplex,
  ): void {
    this.#endClient()
    const exchange = this.#exchange
    const client = exchange.request.socket
    if (client.destroyed) {
      upstream.destroy()
      return
    }
    const fields = exchange.responseHeaders.slice()
    appendFieldsForClient(fields, asText(controller.rawHeaders))
    let head = `HTTP/1.1 ${status} Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
    for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`
    const response: HandshakeResponse = exchange.response
    response.detachSocket(client)
    // Or the socket would keep the whole handshake for as long as it is open.
    if (response[GONE] !== undefined) client.off('close', response[GONE])
    client.write(`${head}\r\n`, 'latin1')
    this.#meter(client)
    this.#options.tunnels.join(client, upstream)
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return
    this.#status = status
    appendFieldsForClient(this.#fields, asText(controller.rawHeaders))
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bodyBytes += chunk.length
    if (this.#bodyBytes <= MAX_REFUSAL_BYTES) this.#body.push(chunk)
  }

  onResponseEnd(): void {
    this.#endClient()
    const { response, responseHeaders } = this.#exchange
    if (response.destroyed) return
    const body = Buffer.concat(this.#body)
    const fields = this.#fields.filter((_, i) => (this.#fields[i - (i % 2)] ?? '').toLowerCase() !== 'content-length')
    response.writeHead(this.#status, [...responseHeaders, ...fields, 'Content-Length', String(body.length)])
    response.end(body)
  }

  onResponseError(_controller: Dispatcher.DispatchController, fault: Error): void {
    this.#endClient()
    respondProblem(
      this.#exchange,
      new Problem(502, 'bad_gateway', { detail: 'The backend did not take the connection.', cause: fault }),
    )
  }

  /** The client is done; a connection that was upgraded is not its own any more. */
  #endClient(): void {
    this.#client.destroy().catch(() => {})
  }

  /** Tells metering how many connections of the tenant this process holds, now and when this one is gone. */
  #meter(client: Duplex): void {
    const { connections, usage, clock } = this.#options
    const tenantId = this.#exchange.tenant?.snapshot.tenant_id ?? ''
    const write = (): void => {
      usage.append(
        { kind: 'realtime', tenantId, completedAtMs: clock.nowMs(), connections: connections.heldBy(tenantId) },
        () => {},
      )
    }
    write()
    // After the keeper's own listener, which was there first, has taken this connection out.
    client.once('close', write)
  }
}

function asText(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  return Array.isArray(raw) ? raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1'))) : []
}
