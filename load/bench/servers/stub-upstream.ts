/**
 * The upstream of the proxy measurements: answers each GET on a kept-alive connection with the same small JSON, any
 * number of pipelined ones in one write, and does nothing else, so that it is never what is measured. It looks for the
 * ends of heads only: requests have no bodies. Usage: node stub-upstream.ts <port>
 */
import { createServer } from 'node:net'
import { exitWithParent } from './exit-with-parent.ts'

const body = JSON.stringify({ id: 42, title: 'Buy milk', done: false, inserted_at: '2026-01-01T00:00:00Z' })
const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
)
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

const server = createServer({ noDelay: true }, (socket) => {
  let rest = ''
  socket.on('data', (chunk: Buffer) => {
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
