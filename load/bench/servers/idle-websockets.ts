import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { exitWithParent } from './exit-with-parent.ts'

/** Agrees to every WebSocket and says nothing more (RFC 6455 without a frame): what an idle realtime backend looks like. */
const server = createServer((request, response) => {
  request.resume()
  // Of anything else that it is asked it is a ledger in which nobody has asked anything yet.
  response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"count":0}')
})
server.on('upgrade', (request, socket) => {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64')
  socket.on('error', () => {})
  socket.resume()
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
})
exitWithParent()
server.listen(Number(process.argv[2]), '127.0.0.1')
