import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http'
import { createServer as createHttp2Server, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import type { TlsCertificates } from './tls-certificates.ts'

export type TlsEdgeOptions = {
  certificates: TlsCertificates
  /** Serves whoever speaks HTTP/1.1 inside: the same edge as without TLS, with its upgrades, refusals and deadlines. */
  http1: HttpServer
  maxHeaderBytes: number
  headTimeoutMs: number
  keepAliveMs: number
  /** Takes what HTTP/2 brings. */
  onHttp2Request(request: IncomingMessage, response: ServerResponse): void
}

/** Requests that one HTTP/2 connection may have open. */
const MAX_STREAMS = 128

/**
 * The public server for TLS: HTTP/2 where the client speaks it (ALPN, RFC 7301), else HTTP/1.1, for which the decrypted
 * connection goes to the HTTP/1.1 edge. WebSockets come over HTTP/1.1: without SETTINGS_ENABLE_CONNECT_PROTOCOL
 * (RFC 8441 3) a client opens a connection of its own for them. Emits `request` for HTTP/2's requests.
 */
export function makeTlsEdge(options: TlsEdgeOptions): TlsServer {
  const http2 = createHttp2Server({
    maxHeaderListPairs: 256,
    settings: {
      maxConcurrentStreams: MAX_STREAMS,
      maxHeaderListSize: options.maxHeaderBytes,
      enableConnectProtocol: false,
    },
  })
  http2.setTimeout(options.keepAliveMs)
  http2.on('sessionError', () => {})
  const server = createTlsServer({
    ALPNProtocols: ['h2', 'http/1.1'],
    SNICallback: (serverName, callback) => callback(null, options.certificates.find(serverName)),
    minVersion: 'TLSv1.2',
    handshakeTimeout: options.headTimeoutMs,
  })
  server.on('secureConnection', (socket) => {
    // Until its protocol has it nobody else listens, and a reset connection must not end the process.
    socket.on('error', () => {})
    const target = socket.alpnProtocol === 'h2' ? http2 : options.http1
    target.emit('connection', socket)
  })
  server.on('tlsClientError', (_fault, socket) => socket.destroy())
  http2.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
    server.emit('request', request, response)
    // The compatibility layer gives HTTP/2's the shape of HTTP/1.1's; what differs is looked after where it does
    // (`http-edge.ts`, `respond.ts`, `relay.ts`).
    options.onHttp2Request(request as unknown as IncomingMessage, response as unknown as ServerResponse)
  })
  return server
}
