/**
 * The upstream of the proxy measurements: answers each GET on a kept-alive connection with the same small JSON, any
 * number of pipelined ones in one write, and those of a link as our backends do; it does nothing else, so that it is never what is measured. It looks for the
 * ends of heads only: requests have no bodies. Usage: node stub-upstream.ts <port>
 */
import { createServer, type Socket } from 'node:net'
import { serveLink } from '../../../runtime/link/link-server.ts'
import { LINK_PROTOCOL } from '../../../runtime/link/upgrade.ts'
import { exitWithParent } from './exit-with-parent.ts'

const body = JSON.stringify({ id: 42, title: 'Buy milk', done: false, inserted_at: '2026-01-01T00:00:00Z', count: 0 })
const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
)
const bodyBytes = Buffer.from(body)
const HEAD_END = Buffer.from('\r\n\r\n')
/** Answers to 1, 2, 3 ... requests that came in one read, made when first needed. */
const answers: Buffer[] = []

function answersTo(count: number): Buffer {
  let bytes = answers[count]
  if (bytes === undefined) {
    bytes = Buffer.concat(Array.from({ length: count }, () => answer))
    answers[count] = bytes
  }
  return bytes
}

/** The gateway asks its shared backends for a link; the stub grants it to anyone, for it has nothing to protect. */
function becomeLink(socket: Socket): void {
  socket.removeAllListeners('data')
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${LINK_PROTOCOL}\r\n\r\n`)
  const headers = ['content-type', 'application/json', 'content-length', String(body.length)]
  const ignore = () => {}
  serveLink(socket, (request) => {
    request.respond(200, headers)
    request.side.end(bodyBytes)
    return { onData: ignore, onEnd: ignore, onReset: ignore, onDrain: ignore }
  })
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest = ''
  let isFirst = true
  socket.on('data', (chunk: Buffer) => {
    if (isFirst && chunk.includes(LINK_PROTOCOL)) return becomeLink(socket)
    isFirst = false
    let from = 0
    let count = 0
    const text = rest === '' ? chunk : Buffer.concat([Buffer.from(rest, 'latin1'), chunk])
    for (;;) {
      const end = text.indexOf(HEAD_END, from)
      if (end < 0) break
      count++
      from = end + 4
    }
    rest = from === text.length ? '' : text.toString('latin1', Math.max(from, 0))
    if (count > 0) socket.write(answersTo(count))
  })
  socket.on('error', () => socket.destroy())
})
server.listen(Number(process.argv[2]), '127.0.0.1')
exitWithParent()
