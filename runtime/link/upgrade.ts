import type { IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { SERVICE_TOKEN_HEADER, type ServiceTokenCodec } from '../service-token.ts'

/** The protocol's name in the `Upgrade` field (RFC 9110, section 7.8): a link shares the port of the HTTP server. */
export const LINK_PROTOCOL = 'aerodb-link/1'

const MAX_ANSWER_BYTES = 8 * 1024

/**
 * Opens a connection to an HTTP server of ours and asks it to speak the link's protocol from there on. `onOpen` is called
 * with what came behind the server's answer; a server that declines, or is no server of ours, closes the connection.
 * @param origin `http://host:port`
 */
export function dialLink(origin: string, token: () => string, onOpen: (socket: Socket, rest: Buffer) => void): Socket {
  const url = new URL(origin)
  const socket = connect({ host: url.hostname, port: Number(url.port === '' ? 80 : url.port), noDelay: true })
  socket.write(
    `GET / HTTP/1.1\r\nHost: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: ${LINK_PROTOCOL}\r\n${SERVICE_TOKEN_HEADER}: ${token()}\r\n\r\n`,
  )
  let answer: Buffer = Buffer.alloc(0)
  const onData = (bytes: Buffer) => {
    answer = Buffer.concat([answer, bytes])
    const end = answer.indexOf('\r\n\r\n')
    if (end < 0 && answer.length < MAX_ANSWER_BYTES) return
    socket.off('data', onData)
    if (end < 0 || !answer.toString('latin1', 0, 13).startsWith('HTTP/1.1 101 ')) {
      socket.destroy(new Error('The server declined the link'))
      return
    }
    onOpen(socket, answer.subarray(end + 4))
  }
  socket.on('data', onData)
  return socket
}

/** True when an upgrade request asks for a link. */
export function asksForLink(request: IncomingMessage): boolean {
  return request.headers.upgrade === LINK_PROTOCOL
}

/**
 * Answers an upgrade request that asks for a link: 101 when the caller is a service of ours, else 403 and the end.
 * @returns whether the connection is a link now.
 */
export function acceptLink(request: IncomingMessage, socket: Duplex, codec: ServiceTokenCodec, nowMs: number): boolean {
  const token = request.headers[SERVICE_TOKEN_HEADER]
  if (codec.verify(typeof token === 'string' ? token : undefined, nowMs) === undefined) {
    socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    return false
  }
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${LINK_PROTOCOL}\r\n\r\n`)
  return true
}
