import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import type { TlsCertificates } from './tls-certificates.ts'

export type TlsEdgeOptions = {
  certificates: TlsCertificates
  maxHeaderBytes: number
  headTimeoutMs: number
  keepAliveMs: number
  /** Takes what either version of HTTP brings. */
  onRequest(request: IncomingMessage, response: ServerResponse): void
}

/** Requests that one HTTP/2 connection may have open. */
const MAX_STREAMS = 128

/**
 * The public server for TLS: HTTP/2 where the client speaks it (ALPN), else HTTP/1.1. Node's compatibility layer gives both
 * the shape of HTTP/1.1 requests; what differs is looked after where it does (`http-edge.ts`, `respond.ts`, `relay.ts`).
 */
export function makeTlsEdge(options: TlsEdgeOptions): Http2SecureServer {
  const server = createSecureServer({
    allowHTTP1: true,
    SNICallback: (serverName, callback) => callback(null, options.certificates.find(serverName)),
    minVersion: 'TLSv1.2',
    handshakeTimeout: options.headTimeoutMs,
    maxHeaderListPairs: 256,
    settings: {
      maxConcurrentStreams: MAX_STREAMS,
      maxHeaderListSize: options.maxHeaderBytes,
      enableConnectProtocol: false,
    },
  })
  server.setTimeout(options.keepAliveMs)
  server.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
    // The compatibility layer documents the two as drop-in for HTTP/1.1's, and over HTTP/1.1 they are those.
    options.onRequest(request as unknown as IncomingMessage, response as unknown as ServerResponse)
  })
  server.on('sessionError', () => {})
  server.on('tlsClientError', (_fault, socket) => socket.destroy())
  return server
}
